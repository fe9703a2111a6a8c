#!/usr/bin/env python3
"""Turns a JSON array of trades [ms, id, type, side, price, amount, cost] into millrace's JSON lines.

Prices and quantities keep the digits of the input: they are copied as text, never as numbers.
The rows keep their order, which is the order that breaks ties between trades of one millisecond.

    tools/trades_to_jsonl.py --pair XRP/ETH binance_XRPETH_trades.json.gz xrpeth_trades.jsonl.gz
"""

import argparse
import datetime
import gzip
import json
import sys


def rfc3339_ms(ms):
    """Milliseconds since the epoch as text; integers throughout, so no millisecond is lost."""
    seconds, rest = divmod(ms, 1000)
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"


def line_of(row, pair):
    """One trade as a line. A row of another shape ends the program with its content."""
    if not isinstance(row, list) or len(row) != 7:
        raise SystemExit(f"trades_to_jsonl: a row needs 7 fields, this one is {row!r}")
    ms, trade_id, _, side, price, amount, _ = row
    if side not in ("buy", "sell"):
        raise SystemExit(f"trades_to_jsonl: the side is 'buy' or 'sell', not {side!r}")
    return (
        f'{{"time":"{rfc3339_ms(int(ms))}","pair":{json.dumps(pair)},"price":{price},'
        f'"quantity":{amount},"side":"{side}","trade_id":{int(trade_id)}}}\n'
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pair", required=True, help="name of the pair, for example XRP/ETH")
    parser.add_argument("input", help="JSON array of rows, gzip when it ends in .gz")
    parser.add_argument("output", help="JSON lines, gzip when it ends in .gz")
    options = parser.parse_args()

    with open(options.input, "rb") as file:
        raw = file.read()
    if options.input.endswith(".gz"):
        raw = gzip.decompress(raw)
    rows = json.loads(raw, parse_float=str, parse_int=str)
    text = "".join(line_of(row, options.pair) for row in rows).encode()
    if options.output.endswith(".gz"):
        # No name and no time in the header: the same input gives the same bytes.
        text = gzip.compress(text, compresslevel=9, mtime=0)
    with open(options.output, "wb") as file:
        file.write(text)
    print(f"trades_to_jsonl: {len(rows)} trades written to {options.output}", file=sys.stderr)


if __name__ == "__main__":
    main()
