#!/usr/bin/env python3
"""Checks a public transcript without any of Croupier's own code.

A second, independent implementation of the checks that docs/FAIRNESS.md describes, in Python's standard library
alone, so that a player need not trust the server's program. It checks the form of every line, the chain, the order
and time of turns, the closing line's counts, and the revealed seed against its commitment, and derives each turn's
seed. It does NOT check the signature (the standard library has no ed25519), opens no sealed seed, and plays no game.

usage: verify-fairness.py [--json] [--seeds] [--commit HEX] FILE
  --json         one JSON object instead of text
  --seeds        print every turn's seed (one line each: number, seed)
  --commit HEX   the commitment as it was published when the session opened
exit code: 0 nothing is wrong with what could be checked; 1 something is wrong; 2 wrong usage
"""

import argparse
import base64
import hashlib
import hmac
import json
import struct
import sys

FORMAT_VERSION = 1
TICK_RUN_MAX = 1_000_000
CLIENT_SEED_BYTES_MAX = 64
LINE_BYTES_MAX = 64 << 20
OPEN, JOIN, CLOSE = 0, 1, 5


class Wrong(Exception):
    """Something that a transcript must not have."""


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def number(value, code):
    """A little-endian integer, refused when it does not fit."""
    if type(value) is not int:
        raise Wrong(f"{value!r} is not a whole number")
    try:
        return struct.pack("<" + code, value)
    except struct.error:
        raise Wrong(f"{value} does not fit") from None


def u64(value):
    return number(value, "Q")


def sized(data):
    return u64(len(data)) + data


def text(value):
    return sized(value.encode())


def fixed(value, size=32):
    data = bytes.fromhex(value)
    if len(data) != size or data.hex() != value:
        raise Wrong(f"{value!r} is not {2 * size} lower-case hexadecimal digits")
    return data


def members(value, names):
    """An object with exactly these members, in this order."""
    if list(value) != names.split():
        raise Wrong(f"expected the members {names}, found {' '.join(value)}")
    return value


def blob(value):
    """Free bytes: a text when they are plain text, else {"base64": ...}."""
    if isinstance(value, str):
        data = value.encode()
        canonical = is_plain(data)
    else:
        written = members(value, "base64")["base64"]
        data = base64.b64decode(written, validate=True)
        canonical = not is_plain(data) and base64.b64encode(data).decode() == written
    if not canonical:
        raise Wrong("bytes are not written as a transcript writes them")
    return data


def is_plain(data):
    if any(byte < 0x20 and byte not in b"\t\n\r" for byte in data):
        return False
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def header_hash(h):
    members(h, "format session plugin plugin_version digest state_version commit opened_ns hidden_information "
               "tick_period_ns server_key")
    if type(h["hidden_information"]) is not bool:
        raise Wrong("hidden_information is neither true nor false")
    return sha256(
        b"croupier/transcript/1",
        number(h["format"], "I"), u64(h["session"]), text(h["plugin"]), text(h["plugin_version"]), fixed(h["digest"]),
        number(h["state_version"], "I"), fixed(h["commit"]), u64(h["opened_ns"]),
        b"\1" if h["hidden_information"] else b"\0", u64(h["tick_period_ns"]), fixed(h["server_key"]),
    )


def effect(e):
    if "send" in e:
        send = members(members(e, "send")["send"], "to message")
        return b"\0" + u64(send["to"]) + sized(blob(send["message"]))
    emit = members(members(e, "emit")["emit"], "topic event")
    return b"\1" + text(emit["topic"]) + sized(blob(emit["event"]))


def outcome_hash(outcome):
    if outcome == "poison":
        body = b"\2"
    elif "done" in outcome:
        done = members(members(outcome, "done")["done"], "reply effects")
        effects = [effect(e) for e in done["effects"]]
        body = b"\0" + sized(blob(done["reply"])) + u64(len(effects)) + b"".join(effects)
    elif "failed" in outcome:
        failed = members(members(outcome, "failed")["failed"], "status text")
        body = b"\1" + number(failed["status"], "i") + text(failed["text"])
    else:
        body = b"\3" + u64(members(members(outcome, "skipped")["skipped"], "ticks")["ticks"])
    return sha256(b"croupier/outcome/1", body)


def turn_bytes(t):
    members(t, "seq kind player now_ns payload client_seed calls outcome")
    for call in t["calls"]:
        members(call, "status answer")
    calls = [number(c["status"], "i") + sized(blob(c["answer"])) for c in t["calls"]]
    return b"".join((
        b"\1", u64(t["seq"]), number(t["kind"], "H"), u64(t["player"]), u64(t["now_ns"]), sized(blob(t["payload"])),
        sized(blob(t["client_seed"])), u64(len(calls)), *calls, outcome_hash(t["outcome"]),
    ))


def ticks_bytes(r):
    members(r, "first_seq count first_now_ns period_ns outcomes")
    return b"".join((
        b"\2", u64(r["first_seq"]), u64(r["count"]), u64(r["first_now_ns"]), u64(r["period_ns"]), fixed(r["outcomes"]),
    ))


class Checker:
    """Takes the lines one by one. Remembers, per contribution, from which turn on which mix holds."""

    def __init__(self):
        self.header = self.hash = self.close = None
        self.seq = self.now = self.records = 0
        self.mixes = []
        self.ended = False

    def line(self, line):
        kind = next(iter(line), None)
        if self.close is not None:
            raise Wrong("a line after the closing line")
        if self.header is None:
            if set(line) != {"header", "hash"}:
                raise Wrong("the first line is not a header")
            return self.begin(line["header"], line["hash"])
        if set(line) == {"close", "signature"}:
            return self.end(line["close"], line["signature"])
        if kind not in ("turn", "ticks") or set(line) != {kind, "hash"}:
            raise Wrong("not a turn, a run of ticks or a closing line")
        if self.ended:
            raise Wrong("a turn after the session's end")
        data = self.turn(line["turn"]) if kind == "turn" else self.ticks(line["ticks"])
        self.hash = sha256(self.hash, data)
        self.records += 1
        if self.hash != fixed(line["hash"]):
            raise Wrong("the running hash does not follow from the line before")

    def begin(self, header, stated):
        if header["format"] != FORMAT_VERSION:
            raise Wrong(f"format {header['format']}; this program reads {FORMAT_VERSION}")
        self.header, self.now, self.hash = header, header["opened_ns"], header_hash(header)
        if self.hash != fixed(stated):
            raise Wrong("the header's hash is wrong")
        self.mixes = [(0, sha256(b"croupier/mix/0", fixed(header["commit"])))]

    def follow(self, seq, now):
        if seq != self.seq + 1:
            raise Wrong(f"turn {seq} stands where turn {self.seq + 1} is due")
        if now < self.now:
            raise Wrong("time runs backwards")

    def turn(self, t):
        self.follow(t["seq"], t["now_ns"])
        if (t["seq"] == 1) != (t["kind"] == OPEN):
            raise Wrong("turn 1, and no other, opens a session")
        self.seq, self.now = t["seq"], t["now_ns"]
        contribution = blob(t["client_seed"])
        if contribution:
            if t["kind"] != JOIN or len(contribution) > CLIENT_SEED_BYTES_MAX:
                raise Wrong("a contribution that is too long, or not a join's")
            mix = sha256(b"croupier/mix/1", self.mixes[-1][1], u64(t["seq"]), u64(t["player"]), sized(contribution))
            self.mixes.append((t["seq"], mix))
        done = isinstance(t["outcome"], dict) and "done" in t["outcome"]
        self.ended = (t["kind"] == CLOSE and done) or (t["kind"] == OPEN and not done)
        return turn_bytes(t)

    def ticks(self, r):
        self.follow(r["first_seq"], r["first_now_ns"])
        if self.seq == 0 or not 1 <= r["count"] <= TICK_RUN_MAX:
            raise Wrong("a run of ticks before the opening, or of an impossible length")
        if r["period_ns"] == 0 or r["period_ns"] != self.header["tick_period_ns"]:
            raise Wrong("a run of ticks at another rate than the session's")
        self.seq += r["count"]
        self.now = r["first_now_ns"] + (r["count"] - 1) * r["period_ns"]
        u64(self.seq), u64(self.now)
        return ticks_bytes(r)

    def end(self, close, signature):
        members(close, "reason records turns final_hash reveal server_key")
        fixed(signature, 64)
        if (close["records"], close["turns"], fixed(close["final_hash"])) != (self.records, self.seq, self.hash):
            raise Wrong("the closing line's counts or final hash are not the chain's")
        if close["server_key"] != self.header["server_key"]:
            raise Wrong("the closing line is signed with another key than the header names")
        self.close = close

    def seed(self):
        """The revealed seed, checked; None when it is not public."""
        reveal = self.close["reveal"]
        if not isinstance(reveal, dict) or "public" not in reveal:
            return None
        seed = fixed(reveal["public"])
        if sha256(b"croupier/commit/1", u64(self.header["session"]), seed) != fixed(self.header["commit"]):
            raise Wrong("the revealed seed is not the one committed to")
        return seed

    def turn_seeds(self, seed, first=1):
        """Number and seed of every turn from `first` on; skipped ones have one as well, though nobody used it."""
        at = 0
        for seq in range(first, self.seq + 1):
            while at + 1 < len(self.mixes) and self.mixes[at + 1][0] <= seq:
                at += 1
            message = b"croupier/turn/1" + u64(self.header["session"]) + self.mixes[at][1] + u64(seq)
            yield seq, hmac.new(seed, message, hashlib.sha256).digest()


def no_doubles(pairs):
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Wrong("a member stands twice")
    return members


def read(path, checker):
    """Feeds the file to the checker; returns the number of lines."""
    count = 0
    with open(path, "rb") as file:
        while raw := file.readline(LINE_BYTES_MAX + 1):
            count += 1
            try:
                if not raw.endswith(b"\n"):
                    raise Wrong("the line is cut short, or too long")
                line = json.loads(raw, object_pairs_hook=no_doubles)
                if json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode() + b"\n" != raw:
                    raise Wrong("the line is not written as a transcript writes it")
                checker.line(line)
            except Wrong as wrong:
                raise Wrong(f"line {count}: {wrong}") from None
            except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
                raise Wrong(f"line {count}: not a line of a transcript ({type(error).__name__}: {error})") from None
    if checker.close is None:
        raise Wrong(f"line {count}: the closing line is missing")
    return count


def main():
    parser = argparse.ArgumentParser(description="Checks a public transcript; see docs/FAIRNESS.md.")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seeds", action="store_true")
    parser.add_argument("--commit")
    parser.add_argument("file")
    options = parser.parse_args()
    checker = Checker()
    try:
        lines = read(options.file, checker)
        seed = checker.seed()
        if options.commit and options.commit.strip().lower() != checker.header["commit"]:
            raise Wrong("line 1: the commitment is not the published one")
    except OSError as error:
        print(f"verify-fairness: {error}", file=sys.stderr)
        return 2
    except Wrong as wrong:
        print(json.dumps({"wrong": str(wrong)}) if options.json else f"WRONG: {wrong}")
        return 1
    not_checked = ["signature", "server-key", "replay"]
    if not options.commit:
        not_checked.append("published-commit")
    if seed is None:
        not_checked.append("revealed-seed")
    last = None if seed is None else next(checker.turn_seeds(seed, checker.seq), (0, b""))[1].hex()
    if options.json:
        print(json.dumps({
            "lines": lines, "turns": checker.seq, "final_hash": checker.hash.hex(), "reason": checker.close["reason"],
            "last_turn_seed": last, "not_checked": not_checked,
        }))
    else:
        print(f"nothing wrong: {checker.seq} turns in {lines} lines, final hash {checker.hash.hex()}")
        print(f"the seed {'is the one committed to' if seed else 'is not public and was NOT checked'}")
        print(f"not checked: {', '.join(not_checked)}")
    if options.seeds and seed is not None:
        for seq, value in checker.turn_seeds(seed):
            print(seq, value.hex())
    return 0


if __name__ == "__main__":
    sys.exit(main())
