// Opens an age v1 file (https://age-encryption.org/v1) for an X25519 identity, with Node's own cryptography: written from the specification, so
// that what we seal is seen to be age and not only what our library takes for it.
//
//   node open_age.mjs <identity file> <sealed file>      the plaintext to standard output; exit 1 where it cannot be opened

import { createDecipheriv, createHmac, createPrivateKey, createPublicKey, diffieHellman, hkdfSync, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";

const fail = (why) => {
  console.error(why);
  process.exit(1);
};

// Bech32 (BIP 173), of which an identity is one; its checksum is checked.
function bech32(text) {
  const letters = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
  const lower = text.toLowerCase();
  const split = lower.lastIndexOf("1");
  const hrp = lower.slice(0, split);
  const data = [...lower.slice(split + 1)].map((c) => letters.indexOf(c));
  if (split < 1 || data.includes(-1)) fail("the identity is no Bech32");
  const values = [...hrp].map((c) => c.charCodeAt(0) >> 5).concat(0, [...hrp].map((c) => c.charCodeAt(0) & 31), data);
  let check = 1;
  for (const value of values) {
    const top = check >>> 25;
    check = ((check & 0x1ffffff) << 5) ^ value;
    [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3].forEach((g, i) => {
      if ((top >> i) & 1) check ^= g;
    });
  }
  if (check !== 1) fail("the identity's checksum is wrong");
  const bytes = [];
  let bits = 0;
  let held = 0;
  for (const value of data.slice(0, -6)) {
    held = ((held << 5) | value) & 0xfff;
    bits += 5;
    if (bits >= 8) bytes.push((held >> (bits -= 8)) & 0xff);
  }
  return [hrp, Buffer.from(bytes)];
}

// Raw keys of X25519 in the frames that Node takes (RFC 8410).
const secretKey = (raw) => createPrivateKey({ key: Buffer.concat([Buffer.from("302e020100300506032b656e04220420", "hex"), raw]), format: "der", type: "pkcs8" });
const publicKey = (raw) => createPublicKey({ key: Buffer.concat([Buffer.from("302a300506032b656e032100", "hex"), raw]), format: "der", type: "spki" });
const rawOf = (key) => key.export({ format: "der", type: "spki" }).subarray(-32);
const derived = (secret, salt, info) => Buffer.from(hkdfSync("sha256", secret, salt, info, 32));

function open(key, nonce, sealed) {
  const cipher = createDecipheriv("chacha20-poly1305", key, nonce, { authTagLength: 16 });
  cipher.setAuthTag(sealed.subarray(-16));
  return Buffer.concat([cipher.update(sealed.subarray(0, -16)), cipher.final()]);
}

const [identityFile, sealedFile] = process.argv.slice(2);
const line = readFileSync(identityFile, "utf8").split("\n").find((l) => l.startsWith("AGE-SECRET-KEY-1"));
if (!line) fail("there is no identity in the file");
const [hrp, scalar] = bech32(line.trim());
if (hrp !== "age-secret-key-" || scalar.length !== 32) fail("it is no X25519 identity");
const identity = secretKey(scalar);
const recipient = rawOf(createPublicKey(identity));

const file = readFileSync(sealedFile);
const end = file.indexOf("\n---");
const header = file.subarray(0, end + 4);
const macEnd = file.indexOf("\n", end + 1);
const [first, ...stanzas] = header.subarray(0, end).toString("latin1").split("\n-> ");
if (first !== "age-encryption.org/v1") fail("it is no age file");

let fileKey;
for (const stanza of stanzas) {
  const [arguments_, ...body] = stanza.split("\n");
  const [kind, share] = arguments_.split(" ");
  if (kind !== "X25519") continue;
  const theirs = Buffer.from(share, "base64");
  const secret = diffieHellman({ privateKey: identity, publicKey: publicKey(theirs) });
  const wrapping = derived(secret, Buffer.concat([theirs, recipient]), "age-encryption.org/v1/X25519");
  try {
    fileKey = open(wrapping, Buffer.alloc(12), Buffer.from(body.join(""), "base64"));
    break;
  } catch {
    // A stanza for somebody else.
  }
}
if (!fileKey) fail("it is sealed for others");
const mac = createHmac("sha256", derived(fileKey, "", "header")).update(header).digest();
const told = Buffer.from(file.subarray(end + 5, macEnd).toString("latin1"), "base64");
if (mac.length !== told.length || !timingSafeEqual(mac, told)) fail("the header was changed");

const payload = file.subarray(macEnd + 1);
const key = derived(fileKey, payload.subarray(0, 16), "payload");
const chunk = 65536 + 16;
const out = [];
for (let at = 16, n = 0; ; n += 1) {
  const last = payload.length - at <= chunk;
  const nonce = Buffer.alloc(12);
  nonce.writeUIntBE(n, 5, 6);
  nonce[11] = last ? 1 : 0;
  try {
    out.push(open(key, nonce, payload.subarray(at, at + chunk)));
  } catch {
    fail("the payload was changed or cut off");
  }
  at += chunk;
  if (last) break;
}
process.stdout.write(Buffer.concat(out));
