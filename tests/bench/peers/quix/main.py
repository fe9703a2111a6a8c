"""The job of the benchmark on Quix Streams: one-minute candles of trades, three indicators of closes.

    main.py BROKERS IN OUT ID GUARANTEE WORKERS RECORDS DIR

GUARANTEE is exactly-once or at-least-once. As many processes as WORKERS share the partitions, for an
application has one thread. It ends when RECORDS records are processed, with a line for the bench.
"""

import json
import multiprocessing
import os
import signal
import sys
import time

from quixstreams import Application

PARTITIONS_MAX = 64
POLL_S = 0.005
SMA, RSI, FAST, SLOW, SIGNAL = 7, 14, 12, 26, 9


def candle_open(trade):
    price, quantity = trade["price"], trade["quantity"]
    at = [trade["time"], trade["trade_id"]]
    return {"open": price, "high": price, "low": price, "close": price, "volume": quantity,
            "notional": price * quantity, "trades": 1, "open_at": at, "close_at": at}


def candle_add(candle, trade):
    price, quantity = trade["price"], trade["quantity"]
    at = [trade["time"], trade["trade_id"]]
    if at >= candle["close_at"]:
        candle["close"] = price
        candle["close_at"] = at
    elif at < candle["open_at"]:
        candle["open"] = price
        candle["open_at"] = at
    if price > candle["high"]:
        candle["high"] = price
    elif price < candle["low"]:
        candle["low"] = price
    candle["volume"] += quantity
    candle["notional"] += price * quantity
    candle["trades"] += 1
    return candle


def average_seeded(average, count, period, value):
    """Mean of the first `period` values, exponential from then on; a sum until it is ready."""
    if count > period:
        return average + (value - average) * 2 / (period + 1)
    return (average + value) / period if count == period else average + value


def indicators(s, close):
    """One close into the state `s` of its pair, as TA-Lib seeds and smooths; None until ready."""
    row = {"sma_7": None, "rsi_14": None, "macd": None, "macd_signal": None, "macd_hist": None}
    seen = s["seen"] = s["seen"] + 1
    s["closes"].append(close)
    s["sum"] += close
    if seen >= SMA:
        row["sma_7"] = s["sum"] / SMA
        s["sum"] -= s["closes"].pop(0)
    if seen > 1:
        change = close - s["before"]
        for name, move in (("gain", max(change, 0.0)), ("loss", max(-change, 0.0))):
            if seen > RSI + 1:
                s[name] = (s[name] * (RSI - 1) + move) / RSI
            else:
                s[name] = (s[name] + move) / (RSI if seen == RSI + 1 else 1)
        if seen > RSI:
            both = s["gain"] + s["loss"]
            row["rsi_14"] = 100 * (s["gain"] / both) if both else 0.0
    s["before"] = close
    s["slow"] = average_seeded(s["slow"], seen, SLOW, close)
    if seen > SLOW - FAST:  # seeded with the last values of the slow one's seed
        s["fast"] = average_seeded(s["fast"], seen - (SLOW - FAST), FAST, close)
    if seen >= SLOW:
        difference, count = s["fast"] - s["slow"], seen - SLOW + 1
        s["signal"] = average_seeded(s["signal"], count, SIGNAL, difference)
        if count >= SIGNAL:
            row.update(macd=difference, macd_signal=s["signal"], macd_hist=difference - s["signal"])
    return row


FRESH = {"seen": 0, "sum": 0.0, "before": 0.0, "gain": 0.0, "loss": 0.0, "fast": 0.0, "slow": 0.0,
         "signal": 0.0}


def with_indicators(closed, pair, timestamp, headers, state):
    candle = closed["value"]
    s = state.get("indicators") or {**FRESH, "closes": []}
    row = {"pair": pair, "window_start": closed["start"] * 1000, "open": candle["open"],
           "high": candle["high"], "low": candle["low"], "close": candle["close"],
           "volume": candle["volume"], "vwap": candle["notional"] / candle["volume"],
           "trades": candle["trades"], **indicators(s, candle["close"])}
    state.set("indicators", s)
    return row


def application(brokers, source, target, name, guarantee, done, folder):
    def processed(topic, partition, offset):
        done[partition] = offset + 1

    app = Application(
        broker_address=brokers, consumer_group=name, auto_offset_reset="earliest",
        processing_guarantee=guarantee, state_dir=folder, loglevel="WARNING",
        on_message_processed=processed,
        # Its page "Checkpointing": state changes are written out and committed at a checkpoint, so
        # fewer of them is more throughput. The default of 5 s is kept.
        commit_interval=5.0,
        # As in the other jobs, a fetch may bring more than 1 MiB of a partition.
        consumer_extra_config={"max.partition.fetch.bytes": 8 << 20},
        producer_extra_config={"linger.ms": 100})
    trades = app.topic(source, key_deserializer="str", value_deserializer="json")
    rows = app.topic(target, key_serializer="str", value_serializer="json")
    sdf = app.dataframe(trades)
    # Event time is the record's timestamp. One reduce() instead of six aggregations: one value of
    # the state per record. Windows of a key are closed by the key's own trades, which is the
    # default and needs no search through all keys.
    sdf = sdf.tumbling_window(60000, grace_ms=2000).reduce(candle_add, candle_open).final()
    sdf = sdf.apply(with_indicators, stateful=True, metadata=True)
    sdf.to_topic(rows)
    return app


def reach(line, name, done, wanted):
    while sum(done) < wanted:
        time.sleep(POLL_S)
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid:
            sys.exit(f"a worker ended with {status} before all was done")
    line[name] = {"ms": int(time.time() * 1000), "records": sum(done)}


def main():
    brokers, source, target, name, guarantee, workers, records, folder = sys.argv[1:]
    done = multiprocessing.RawArray("q", PARTITIONS_MAX)  # next offset of each partition
    children = []
    for worker in range(int(workers)):
        pid = os.fork()
        if pid == 0:
            application(brokers, source, target, name, guarantee, done,
                        os.path.join(folder, str(worker))).run()
            sys.exit(0)
        children.append(pid)
    line = {}
    for point, wanted in (("first", 1), ("half", int(records) // 2), ("all", int(records))):
        reach(line, point, done, wanted)
    peak_kb = 0
    for pid in children:
        os.kill(pid, signal.SIGTERM)
    for pid in children:
        status, usage = os.wait4(pid, 0)[1:]
        peak_kb += usage.ru_maxrss
        if status != 0:
            sys.exit(f"a worker ended with {status}")
    line["end"] = {"ms": int(time.time() * 1000), "records": sum(done)}
    line["peak_kb"] = peak_kb
    print(json.dumps(line))


if __name__ == "__main__":
    main()
