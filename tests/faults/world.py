"""A small world for tests that let a machine fail: a pipeline file of two stages with state and sinks,
its input, a run on the embedded log, and the comparison with a calm one."""
import filecmp
import os
import pathlib
import random
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RUN_S = 60

PIPELINE = """\
pipeline: world
topics:
  trades:  { key: pair, time: time, partitions: 2 }
  candles: { key: pair, time: window_end, partitions: 2 }
stages:
  trades:
    source: { replay: { path: trades.csv, format: csv } }
    to: trades
  candles:
    from: trades
    commit: { min: 1ms, max: 2ms }
    steps:
      - candles: { id: c1s, every: 1s, grace: 500ms, fill: flat }
    to: candles
    sink: { file: { path: "disk/candles-{partition}.csv" } }
  averages:
    from: candles
    commit: { min: 1ms, max: 2ms }
    steps:
      - indicators: { id: ta, outputs: { sma_5: { sma: { timeperiod: 5 } }, ema_9: { ema: { timeperiod: 9 } } } }
    sink: { file: { path: "disk/averages-{partition}.csv" } }
"""


def prepare(folder, rows, seed):
    """A folder with a pipeline file and its input; everything it writes goes below disk/."""
    dice = random.Random(seed)
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "disk").mkdir(parents=True)
    (folder / "world.yaml").write_text(PIPELINE)
    with open(folder / "trades.csv", "w") as out:
        out.write("time,pair,price,quantity,side,trade_id\n")
        at = 1_700_000_000_000_000
        for number in range(rows):
            at += dice.randrange(400_000)
            pair = dice.choice(["BTC/EUR", "ETH/EUR", "XRP/EUR", "ADA/EUR"])
            price, quantity = dice.randrange(1, 10**6) / 100, dice.randrange(1, 1000) / 1000
            out.write(f"{at},{pair},{price},{quantity},buy,{number}\n")


def run(binary, folder, environment=None, batch_rows=8, log_name="local:disk/log"):
    command = [str(binary), "run", "world.yaml", "--log", log_name, "--until-end",
               "--batch-rows", str(batch_rows)]
    with open(folder / "run.log", "w") as log:
        return subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                              env={**os.environ, **(environment or {})}, timeout=RUN_S).returncode


def compile_shim(name, folder):
    """A shared object to be loaded in front of the C library."""
    shim = folder / f"{name}.so"
    subprocess.run(["cc", "-std=gnu17", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", shim,
                    HERE / f"{name}.c", "-ldl"], check=True)
    return shim


def twin(calm, folder):
    """A folder with the same pipeline file and input as `calm`, and an empty disk."""
    (folder / "disk").mkdir(parents=True)
    for name in ("world.yaml", "trades.csv"):
        os.link(calm / name, folder / name)
    return folder


def rename(folder, name):
    """Gives the pipeline and its topics names of their own, for a log that is shared."""
    file = folder / "world.yaml"
    text = file.read_text().replace("pipeline: world", f"pipeline: {name}")
    for topic in ("trades", "candles"):
        text = text.replace(f"{topic}: " + " " * (7 - len(topic)) + "{ key", f"{topic}: {{ name: {name}-{topic}, key")
    file.unlink()  # it may be shared with others
    file.write_text(text)


def sinks(folder):
    return sorted(path.name for path in (folder / "disk").glob("*.csv"))


def compare(calm, folder):
    """What differs, or None."""
    if sinks(calm) != sinks(folder):
        return f"the sinks are {sinks(folder)}, not {sinks(calm)}"
    for name in sinks(calm):
        if not filecmp.cmp(calm / "disk" / name, folder / "disk" / name, shallow=False):
            return f"{name} differs from that of the calm run"
    return None
