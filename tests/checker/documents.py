"""JSON that strangers hand us: strict parsing, RFC 8785, and the part of JSON Schema (2020-12) that `evidence-schema/` uses."""

import json
import math
import pathlib
import re

MAX_DEPTH = 128
BOUNDS = {"uint8": (0, 2**8), "uint16": (0, 2**16), "uint32": (0, 2**32), "uint": (0, 2**64), "uint64": (0, 2**64), "int64": (-(2**63), 2**63)}


class NotJson(Exception):
    pass


def parse(raw):
    """One JSON value, of which every reader means the same: UTF-8, no member twice, no lone surrogate, no NaN, not too deep."""

    def members(pairs):
        value = dict(pairs)
        if len(value) != len(pairs):
            raise NotJson("a member stands twice in one object")
        return value

    def constant(_):
        raise NotJson("NaN and Infinity are no JSON")

    def double(text):
        if not math.isfinite(value := float(text)):
            raise NotJson("a number beyond a double")
        return value

    def whole(text):
        double(text)
        return int(text)

    try:
        text = raw.decode()
        value = json.loads(text, object_pairs_hook=members, parse_constant=constant, parse_float=double, parse_int=whole)
        _shallow(value)
        return value
    except UnicodeError:
        raise NotJson("no UTF-8") from None
    except RecursionError:
        raise NotJson("too deep") from None
    except ValueError as e:
        raise NotJson(f"no JSON: {e}") from None


def _shallow(value):
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise NotJson("too deep")
        below = []
        for v in level:
            if isinstance(v, str):
                v.encode()
            elif isinstance(v, dict):
                below += v.values()
                for k in v:
                    k.encode()
            elif isinstance(v, list):
                below += v
        level = below


def canonical(value):
    """RFC 8785: the one way to write this value."""
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda m: m[0].encode("utf-16-be"))
        return b"{" + b",".join(canonical(k) + b":" + canonical(v) for k, v in members) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(map(canonical, value)) + b"]"
    if isinstance(value, bool) or value is None:
        return {True: b"true", False: b"false", None: b"null"}[value]
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).encode()
    if isinstance(value, int) and abs(value) <= 2**53:
        return str(value).encode()
    return _double(float(value)).encode()


def _double(x):
    """ECMAScript's Number::toString."""
    if x == 0:
        return "0"
    if not math.isfinite(x):
        raise NotJson("a number beyond a double")
    sign, x = ("-", -x) if x < 0 else ("", x)
    mantissa, _, exponent = f"{x!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    # n: the value is 0.digits × 10^n
    n = len(whole) + int(exponent or 0) if whole != "0" else int(exponent or 0) - (len(fraction) - len(fraction.lstrip("0")))
    digits = digits.rstrip("0")
    k = len(digits)
    if k <= n <= 21:
        out = digits + "0" * (n - k)
    elif 0 < n <= 21:
        out = digits[:n] + "." + digits[n:]
    elif -6 < n <= 0:
        out = "0." + "0" * -n + digits
    else:
        e = f"e{'+' if n > 0 else '-'}{abs(n - 1)}"
        out = digits[0] + ("." + digits[1:] if k > 1 else "") + e
    return sign + out


class Schemas:
    """The committed schemas, by the beginning of their file's name."""

    KNOWN = {"$defs", "$id", "$schema", "title", "description", "$ref", "type", "const", "enum", "properties", "required", "format",
             "additionalProperties", "unevaluatedProperties", "items", "prefixItems", "minItems", "maxItems", "minimum", "maximum",
             "maxLength", "pattern", "oneOf", "anyOf"}  # fmt: skip

    def __init__(self, directory):
        self.directory, self.loaded = pathlib.Path(directory), {}

    def of(self, name):
        if name not in self.loaded:
            self.loaded[name] = json.loads((self.directory / f"{name}.schema.json").read_bytes())
        return self.loaded[name]

    def wrong(self, name, value):
        """The first thing in which `value` is not as the schema says, or None."""
        schema = self.of(name)
        try:
            _hold(schema, value, schema, "")
        except Violation as v:
            return str(v)[:300]
        return None


class Violation(Exception):
    pass


def _type(value):
    if isinstance(value, bool):
        return "boolean"
    names = {dict: "object", list: "array", str: "string", int: "integer", float: "number", type(None): "null"}
    return names[type(value)]


def _hold(schema, value, root, at):
    """Raises a Violation; returns the names of the members that this schema speaks of (for `unevaluatedProperties`)."""
    if schema is True:
        return set(value) if isinstance(value, dict) else set()
    if schema is False:
        raise Violation(f"{at}: nothing may stand here")
    if unknown := set(schema) - Schemas.KNOWN:
        raise ValueError(f"this checker does not know the keywords {unknown}")

    def demand(holds, what):
        if not holds:
            raise Violation(f"{at or '/'}: {what}")

    known = set()
    if "$ref" in schema:
        known |= _hold(root["$defs"][schema["$ref"].removeprefix("#/$defs/")], value, root, at)
    kind = _type(value)
    if types := schema.get("type"):
        types = types if isinstance(types, list) else [types]
        demand(kind in types or (kind == "integer" and "number" in types), f"is {kind}, not {' or '.join(types)}")
    if "const" in schema:
        demand(value == schema["const"] and kind == _type(schema["const"]), f"is not {schema['const']!r}")
    if "enum" in schema:
        demand(any(value == e and kind == _type(e) for e in schema["enum"]), f"is none of {schema['enum']}")
    for word in ("oneOf", "anyOf"):
        if word in schema:
            fits = []
            for branch in schema[word]:
                try:
                    fits.append(_hold(branch, value, root, at))
                except Violation:
                    pass
            demand(fits and (word == "anyOf" or len(fits) == 1), f"is like {len(fits)} of the {len(schema[word])} forms that it may have")
            known = known.union(*fits)
    if kind == "object":
        properties = schema.get("properties", {})
        for name in schema.get("required", []):
            demand(name in value, f"{name} is missing")
        others = schema.get("additionalProperties", True)
        for name, member in value.items():
            if name in properties:
                # The rule of the document that JSON Schema cannot say.
                empty = member is None or member == []
                demand(name in schema.get("required", []) or not empty, f"{name} has nothing to say, and is written")
                _hold(properties[name], member, root, f"{at}/{name}")
                known.add(name)
            elif "additionalProperties" in schema:
                demand(others is not False, f"the member {name!r} is in no schema")
                _hold(others, member, root, f"{at}/{name}")
                known.add(name)
        if schema.get("unevaluatedProperties") is False:
            demand(not set(value) - known, f"the members {sorted(set(value) - known)} are in no schema")
    if kind == "array":
        first = schema.get("prefixItems", [])
        for n, member in enumerate(value):
            _hold(first[n] if n < len(first) else schema.get("items", True), member, root, f"{at}/{n}")
        demand(len(value) >= schema.get("minItems", 0), "too few")
        demand(len(value) <= schema.get("maxItems", math.inf), "too many")
    if kind == "string":
        demand(len(value) <= schema.get("maxLength", math.inf), "too long")
        # Every pattern of these schemas is anchored; `$` must not let a newline pass, as Python's does.
        if pattern := schema.get("pattern"):
            demand(re.fullmatch(pattern.removeprefix("^").removesuffix("$"), value), f"does not match {pattern}")
    if kind in ("integer", "number"):
        demand(value >= schema.get("minimum", -math.inf) and value <= schema.get("maximum", math.inf), "out of bounds")
        if kind == "integer" and schema.get("format") in BOUNDS:
            low, beyond = BOUNDS[schema["format"]]
            demand(low <= value < beyond, "out of bounds")
    return known
