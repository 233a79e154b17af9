"""ECDSA on P-256, public keys in PEM, DSSE's encoding, and as much of RFC 3161 as tells what was stamped and when. Public data only: none
of this keeps a secret, so none of it needs constant time."""

import base64
import binascii
import datetime
import hashlib
import re

# FIPS 186-4, D.1.2.3; a is -3.
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
G = (0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296, 0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5)
# SubjectPublicKeyInfo of an uncompressed point: id-ecPublicKey, prime256v1, BIT STRING of 66 bytes.
SPKI = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")


class Malformed(Exception):
    pass


def decode64(text):
    """Base64 in its one form: padded, without white space, no loose bits."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("no base64") from None
    if base64.b64encode(raw).decode() != text:
        raise Malformed("no base64 in its one form")
    return raw


# ── keys ──


class Key:
    def __init__(self, pem):
        """A PEM public key of P-256."""
        try:
            text = pem.decode("ascii").strip()
        except UnicodeDecodeError:
            raise Malformed("no PEM") from None
        m = re.fullmatch(r"-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]*)-----END PUBLIC KEY-----", text)
        if not m:
            raise Malformed("no PEM of a public key")
        der = decode64("".join(m[1].split()))
        if len(der) != 91 or der[:26] != SPKI or der[26] != 4:
            raise Malformed("no public key of P-256")
        self.point = (int.from_bytes(der[27:59]), int.from_bytes(der[59:]))
        x, y = self.point
        if x >= P or y >= P or (y * y - x * x * x + 3 * x - B) % P:
            raise Malformed("a point that is not on the curve")
        self.id = hashlib.sha256(der).hexdigest()

    def holds(self, signature, message):
        """Whether `signature` (DER) is this key's over SHA-256 of `message`."""
        try:
            body, end = tlv(signature, 0, 0x30)
            r, at = integer(body, 0)
            s, at = integer(body, at)
        except Malformed:
            return False
        if end != len(signature) or at != len(body) or not (0 < r < N and 0 < s < N):
            return False
        e = int.from_bytes(hashlib.sha256(message).digest())
        w = pow(s, -1, N)
        point = _add(_times(e * w % N, G), _times(r * w % N, self.point))
        return point is not None and point[0] % N == r


def _add(a, b):
    """Affine addition; None is the point at infinity."""
    if a is None or b is None:
        return b if a is None else a
    if a[0] == b[0]:
        if (a[1] + b[1]) % P == 0:
            return None
        slope = (3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, P) % P
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, P) % P
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def _times(k, point):
    sum_ = None
    while k:
        if k & 1:
            sum_ = _add(sum_, point)
        point = _add(point, point)
        k >>= 1
    return sum_


def pre_authentication(kind, body):
    """DSSE v1: what is signed."""
    kind = kind.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(body), body)


# ── DER ──


def tlv(data, at, tag):
    """The content of the element of this tag at `at`, and where it ends. Definite and shortest lengths only."""
    if at + 2 > len(data) or data[at] != tag:
        raise Malformed("another element")
    n, at = data[at + 1], at + 2
    if n >= 0x80:
        octets = data[at : at + (n & 0x7F)]
        at += n & 0x7F
        n = int.from_bytes(octets)
        if not 1 <= len(octets) <= 4 or octets[0] == 0 or n < 0x80:
            raise Malformed("a length in another form")
    if at + n > len(data):
        raise Malformed("cut off")
    return data[at : at + n], at + n


def integer(data, at):
    body, end = tlv(data, at, 0x02)
    if not body or (len(body) > 1 and (body[0] == 0 and body[1] < 0x80 or body[0] == 0xFF and body[1] >= 0x80)):
        raise Malformed("a number in another form")
    return int.from_bytes(body, signed=True), end


SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
TST_INFO = bytes.fromhex("2a864886f70d0109100104")
SHA256 = bytes.fromhex("608648016503040201")


def timestamp(answer):
    """Of a TimeStampResp: (digest that was stamped, time). RFC 3161, RFC 5652; certificates and signature are left to openssl."""
    response, end = tlv(answer, 0, 0x30)
    if end != len(answer):
        raise Malformed("bytes follow it")
    info, at = tlv(response, 0, 0x30)
    status, _ = integer(info, 0)
    if status not in (0, 1):
        raise Malformed(f"the authority refused: status {status}")
    content, _ = tlv(response, at, 0x30)
    kind, at = tlv(content, 0, 0x06)
    if kind != SIGNED_DATA:
        raise Malformed("no signed data")
    signed, _ = tlv(tlv(content, at, 0xA0)[0], 0, 0x30)
    _, at = integer(signed, 0)
    _, at = tlv(signed, at, 0x31)
    inner, _ = tlv(signed, at, 0x30)
    kind, at = tlv(inner, 0, 0x06)
    if kind != TST_INFO:
        raise Malformed("no TSTInfo")
    token, _ = tlv(tlv(tlv(inner, at, 0xA0)[0], 0, 0x04)[0], 0, 0x30)
    _, at = integer(token, 0)
    _, at = tlv(token, at, 0x06)
    imprint, at = tlv(token, at, 0x30)
    algorithm, digest_at = tlv(imprint, 0, 0x30)
    digest, _ = tlv(imprint, digest_at, 0x04)
    if tlv(algorithm, 0, 0x06)[0] != SHA256:
        raise Malformed("it stamps another digest than SHA-256")
    _, at = integer(token, at)
    text, _ = tlv(token, at, 0x18)
    try:
        time = datetime.datetime.strptime(text.decode("ascii"), "%Y%m%d%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    except ValueError:
        raise Malformed("a time that this checker does not read") from None
    return digest, time
