"""Safetensors files to judge: hand-made ones, and seeded random ones mutated in structure, text and bytes."""

import copy
import json
import random
import struct

BITS = dict(BOOL=8, F4=4, F6_E2M3=6, F6_E3M2=6, U8=8, I8=8, F8_E5M2=8, F8_E4M3=8, F8_E8M0=8, F8_E4M3FNUZ=8,
            F8_E5M2FNUZ=8, I16=16, U16=16, F16=16, BF16=16, I32=32, U32=32, F32=32, C64=64, F64=64, I64=64, U64=64)


def make_file(header, data=b"", length=None):
    if isinstance(header, str):
        header = header.encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def entry(dtype="U8", shape="[4]", offsets="[0,4]", extra=""):
    return f'{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}{extra}}}'


def one(data=4, **parts):
    return make_file('{"x":' + entry(**parts) + "}", bytes(data))


def unknown(value):
    return one(extra=f',"u":{value}')


def length_and_byte_files():
    yield from (b"", b"\1" * 7, struct.pack("<Q", 0), struct.pack("<Q", 60), struct.pack("<Q", 0xFFFFFF000000003C))
    yield from (make_file("{}", length=length) for length in (1, 3, 100_000_000, 100_000_001, 2**64 - 1, 2**64 - 8))
    for text in ("{}", " {}", "\t\n{}\r ", "{}\x00", "\x00{}", "{}\x0c", "\ufeff{}", "[]", "null", "1", '""', "{", "}",
                 "{}{}", "", " ", "{,}", "{'a':1}", "{//\n}", "{/**/}", '{"a"}', '{"a":}', '{"a":1,}', "{} x", "true",
                 "-", "{}\v"):
        yield make_file(text)
    for header in (b"\xff", b"{}\xff", b'{"\xc0\xaf":1}', b'{"\xed\xa0\x80":1}', b'{"\xf4\x90\x80\x80":1}',
                   b'{"\xe2\x82":1}', b'{"a\x00b":1}', b'{"a\nb":1}', b'{"\x7f":1}', b'{"\xf0\x9f\x98\x80":1}'):
        yield make_file(header)


def metadata_files():
    for value in ("null", "{}", "[]", "1", '""', "true", '{"a":"b"}', '{"a":1}', '{"a":null}', '{"a":{}}', '{"a":[]}',
                  '{"":""}', '{"a":"1","a":"2"}', '{"a":"\\u0000"}', '{"a":"\\ud800"}', '{"a":"\\udc00"}',
                  '{"a":"\\ud83d\\ude00"}', '{"a":"\\ud800\\ud800"}', '{"a":"\\udc00\\ud800"}', '{"a":"\\x"}',
                  '{"a":"\\u12"}', '{"a":"\\u123g"}', '{"a":"\\"\\\\\\/\\b\\f\\n\\r\\t"}', '{"a":"b","\\u0061":"c"}',
                  '{"a":"b",}'):
        yield make_file(f'{{"__metadata__":{value}}}')
        yield make_file(f'{{"\\u005f_metadata__":{value},"x":{entry()}}}', bytes(4))
    yield make_file('{"__metadata__":{},"__metadata__":{}}')
    yield make_file('{"__metadata__":null,"__metadata__":null}')


def number_files():
    for number in ("0", "-0", "4", "04", "+4", "4.0", "4e0", "4E0", "-4", "18446744073709551615",
                   "18446744073709551616", "184467440737095516160", "9223372036854775808", "1e999", '"4"', "true",
                   "null", "[4]", "{}", ".5", "4.", "4e", "0x4", "NaN", "Infinity", "-Infinity", "-", "--4", "4-"):
        yield one(shape=f"[{number}]")
        yield one(shape=number)
        yield one(offsets=f"[{number},4]")
        yield one(offsets=f"[0,{number}]")
        yield one(shape=f"[0,{number}]", offsets="[0,0]", data=0)
        yield unknown(number)
        yield unknown(f"[{number},{{}}]")
    for number in ("1e308", "1.7976931348623157e308", "1.7976931348623159e308", "1.8e308", "1.9e308", "1e309",
                   "-1e309", "1e-400", "1e-99999999999", "1e99999999999", "9" * 308, "0.1e309", "0.01e310",
                   "123456789012345678901234567890.5", "1" + "0" * 400, "-1" + "0" * 400):
        yield unknown(number)


def size_files():
    for offsets in ("[]", "[0]", "[0,4,4]", "[0,4,]", "[4,0]", "[1,5]", "[0,5]", "[0,3]", "{}", "null", '"0,4"',
                    "[[0,4]]"):
        yield one(offsets=offsets)
        yield one(offsets=offsets, data=5)
    for name in list(BITS) + ["f32", "F32 ", "", "F128", "F8_E4M3FN", "bool", "\\u0055" + "8"]:
        for count in (0, 1, 2, 3, 4, 8):
            size = BITS.get(name, 8) * count // 8
            yield one(dtype=name, shape=f"[{count}]", offsets=f"[0,{size}]", data=size)
        yield one(dtype=name, shape="[]", offsets=f"[0,{BITS.get(name, 8) // 8}]", data=BITS.get(name, 8) // 8)
    for shape in ("[2,18446744073709551614]", "[2,9223372036854775807]", "[0,9223372036854775808,4]",
                  "[9223372036854775808,4,0]", "[2305843009213693951]", "[2305843009213693952]",
                  "[4294967296,4294967296]", "[4294967296,4294967295]"):
        for offsets in ("[0,0]", "[0,4]", "[0,2305843009213693951]", "[0,18446744073709551615]"):
            yield one(shape=shape, offsets=offsets)


def entry_files():
    for keys in ('"shape":[4],"data_offsets":[0,4]', '"dtype":"U8","data_offsets":[0,4]', '"dtype":"U8","shape":[4]',
                 "", '"dtype":{"U8":null},"shape":[4],"data_offsets":[0,4]',
                 '"dtype":null,"shape":[4],"data_offsets":[0,4]', '"dtype":["U8"],"shape":[4],"data_offsets":[0,4]',
                 '"dtype":0,"shape":[4],"data_offsets":[0,4]', '"dtyp\\u0065":"U8","shape":[4],"data_offsets":[0,4]',
                 '"Dtype":"U8","shape":[4],"data_offsets":[0,4]'):
        yield make_file(f'{{"x":{{{keys}}}}}', bytes(4))
    for extra in (',"dtype":"U8"', ',"shape":[4]', ',"data_offsets":[0,4]', ',"u":1,"u":2', ',"":{}', ',"u":"\\udc00"',
                  ",", ',"u"'):
        yield one(extra=extra)
    for value in ('["U8",[4],[0,4]]', "[]", "null", "4", '"x"', "true"):
        yield make_file(f'{{"x":{value}}}', bytes(4))
    for depth in (1, 2, 100, 124, 125, 126, 127, 128, 129, 500):
        yield unknown("[" * depth + "]" * depth)
        yield unknown('{"a":' * depth + "1" + "}" * depth)
        yield unknown("[" * depth)
        yield make_file("[" * depth + "]" * depth)
    for name in ("", "\\u0000", "/", "..", "\u00e9", "\U0001f600", "\\ud83d\\ude00", "\\udc00", "\\ud83d", "a" * 5000,
                 "\u2028"):
        yield make_file(f'{{"{name}":{entry()}}}', bytes(4))
    yield make_file(f'{{"x":{entry()},"x":{entry()}}}', bytes(4))
    yield make_file(f'{{"x":{entry()},"\\u0078":{entry(offsets="[4,8]")}}}', bytes(8))
    yield make_file("{" + ",".join(f'"t{i}":{entry("F32", "[2,2]", "[0,16]")}' for i in range(10)) + "}", bytes(16))
    empty = entry(shape="[0]", offsets="[4,4]")
    for extra in (empty, entry(shape="[0]", offsets="[0,0]"), entry(shape="[0]", offsets="[2,2]"),
                  entry(shape="[0]", offsets="[5,5]")):
        yield make_file(f'{{"x":{entry()},"y":{extra},"z":{extra}}}', bytes(4))
    for data in range(8):
        yield one(data=data)


def hand_made():
    for files in (length_and_byte_files, metadata_files, number_files, size_files, entry_files):
        yield from files()


def random_name(rng):
    alphabet = ["a", "b", "layers.", "weight", ".", "/", "0", "12", "\u00e9", "\U0001f600", "\x00", '"', "\\", "\n",
                "__metadata__", ""]
    return "".join(rng.choice(alphabet) for _ in range(rng.randrange(4)))


def random_tree(rng):
    """A valid header as Python data, with its data's size."""
    header, offset = [], 0
    for i in range(rng.choice([0, 1, 1, 2, 3, 5, 12])):
        dtype = rng.choice(list(BITS))
        shape = [rng.choice([0, 1, 1, 2, 3, 4, 8]) for _ in range(rng.choice([0, 1, 1, 2, 3]))]
        count = 1
        for extent in shape:
            count *= extent
        if count * BITS[dtype] % 8:
            shape.append(8)
            count *= 8
        size = count * BITS[dtype] // 8
        header.append([random_name(rng) + str(i), {"dtype": dtype, "shape": shape, "data_offsets": [offset,
                      offset + size]}])
        offset += size
    if rng.random() < 0.4:
        header.append(["__metadata__", {random_name(rng): random_name(rng) for _ in range(rng.randrange(3))}])
    rng.shuffle(header)
    return header, offset


ODD_VALUES = [None, True, 0, -1, 1.5, 2**63, 2**64 - 1, 2**64, "", "F32", [], {}, [0], [[0, 4]], {"a": [1, {}]}, [0,
1, 2]]


def odd_value(rng):
    return copy.deepcopy(rng.choice(ODD_VALUES))


def is_sound(info):
    """Whether the entry still has the members that a mutation counts on."""
    offsets = info.get("data_offsets")
    return isinstance(info.get("shape"), list) and isinstance(offsets, list) and len(offsets) == 2 and all(
        isinstance(offset, int) for offset in offsets)


def mutate_tree(rng, header):
    if not header:
        header.append(["x", odd_value(rng)])
        return
    item = rng.choice(header)
    info = item[1]
    kind = rng.randrange(12)
    if kind == 0:
        item[1] = odd_value(rng)
    elif kind == 1:
        header.append(copy.deepcopy(rng.choice(header)))
    elif kind == 2:
        item[0] = rng.choice(header)[0]
    elif kind == 3:
        header.remove(item)
    elif isinstance(info, dict) and is_sound(info):
        if kind in (4, 5):
            info["data_offsets"][rng.randrange(2)] += rng.choice([-8, -1, 1, 8, 2**63, 2**64])
        elif kind == 6:
            info["shape"].append(rng.choice([0, 1, 2, 2**32, 2**61, 2**63, 2**64 - 1]))
        elif kind == 7:
            info["dtype"] = rng.choice(list(BITS) + ["F128", "f32"])
        elif kind == 8:
            info[rng.choice(["dtype", "shape", "data_offsets", "u"])] = odd_value(rng)
        elif kind == 9:
            info.pop(rng.choice(list(info)))
        elif kind == 10:
            info["u"] = odd_value(rng)
        else:
            info["shape"] = [rng.choice([0, 1, 2**32, 2**61, 2**63]) for _ in range(3)]
    elif isinstance(info, dict):
        info[rng.choice(["a", "b", "dtype"])] = odd_value(rng)


def write_tree(rng, header):
    spaces = rng.choice([(",", ":"), (", ", ": "), (" ,\n", "\t: ")])
    ascii_only = rng.random() < 0.5
    parts = [json.dumps(name, ensure_ascii=ascii_only) + spaces[1] + json.dumps(value, ensure_ascii=ascii_only,
             separators=spaces)
             for name, value in header]
    return "{" + spaces[0].join(parts) + "}" + " " * rng.randrange(9)


SNIPPETS = ['"', "{", "}", "[", "]", ",", ":", " ", "\n", "\x00", "\x1f", "\\", "\\u0000", "\\ud800", "\\udc00",
"\\u00e9", "0", "1", "-",
            "-0", ".", "e5", "null", "true", '"dtype":"U8",', '"x":', "1e999", "[]", "{}", "\ufeff", "\u00e9", "/**/"]


def mutate_text(rng, text):
    position = rng.randrange(len(text) + 1)
    kind = rng.randrange(4)
    if kind == 0:
        return text[:position] + rng.choice(SNIPPETS) + text[position:]
    if kind == 1:
        return text[:position] + text[position + rng.randrange(1, 6):]
    if kind == 2:
        return text[:position] + rng.choice(SNIPPETS) + text[position + 1:]
    other = rng.randrange(len(text) + 1)
    return text[:position] + text[other:other + rng.randrange(1, 40)] + text[position:]


def mutate_bytes(rng, content):
    content = bytearray(content)
    kind = rng.randrange(5)
    if kind == 0 and content:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    elif kind == 1 and content:
        content[rng.randrange(len(content))] = rng.randrange(256)
    elif kind == 2:
        del content[rng.randrange(len(content) + 1):]
    elif kind == 3:
        content += bytes(rng.randrange(1, 9))
    elif content:
        content[0] = (content[0] + rng.choice([-8, -1, 1, 8])) % 256
    return bytes(content)


def random_file(seed, index):
    rng = random.Random(f"{seed}/{index}")
    header, size = random_tree(rng)
    if rng.random() < 0.5:
        for _ in range(rng.choice([1, 1, 2, 3])):
            mutate_tree(rng, header)
    text = write_tree(rng, header)
    if rng.random() < 0.4:
        for _ in range(rng.choice([1, 1, 2, 4])):
            text = mutate_text(rng, text)
    content = make_file(text, bytes(size))
    if rng.random() < 0.25:
        content = mutate_bytes(rng, content)
    return content
