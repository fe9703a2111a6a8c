#!/usr/bin/env python3
"""Real faults on a real Kafka, and a verdict: lost, doubled, disordered and differing rows and state
against a calm run over the same records. Goals are those of the project's reliability table:

  R2   SIGKILL of workers at random                 R6   SIGSTOP beyond session and transaction timeout
  R3   SIGKILL at every failpoint                   R7   latency, stalls, cut connections
  R4   kill -9 and restart of brokers, three of them    R17  graceful stops under load
  R5   joins, leaves, rolling restarts

  tests/kafka/chaos.py --goals R2,R5 --scale 1 --seed 7

Prints one line per goal and writes it as JSON, too. Everything is read with kcat at read_committed."""
import argparse
import json
import math
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import chaos_world as world
from chaos_world import Cluster, Failure, Run, say

ROOT = world.ROOT
LEAVE_S = 25      # longer than the session's and the transaction's timeout together
REJOIN_S = 40     # after SIGCONT
DRAIN_S = 90      # without any progress, nothing being broken
HEAL_S = 60       # back to lag 0 after a broker's restart
FAILPOINT_S = 90  # until a failpoint is reached
VISITS_MAX = 10   # the last of which strikes: one that catches up commits once a second
FEED_S = 30       # the input flows at least so long
SABOTAGE_RECORDS = 2_000_000  # more of them are not read a second time
RATE_MAX = 15_000  # records per second

# goal: what counts; how many of them and how many records in CI; the same in the 90 minutes of a
# release (--scale 1); seconds between two of them
GOALS = {
    "R2": ("SIGKILLs of workers", 10, 500_000, 100, 10_000_000, 4.0),
    "R3": ("SIGKILLs at failpoints", 8, 150_000, 160, 1_500_000, 2.0),
    "R4": ("broker kills", 2, 200_000, 10, 1_000_000, 40.0),
    "R5": ("joins and leaves", 20, 150_000, 200, 1_500_000, 1.5),
    "R6": ("zombies", 1, 150_000, 20, 1_500_000, 20.0),
    "R7": ("network faults", 4, 150_000, 12, 1_000_000, 40.0),
    "R17": ("graceful stops", 10, 150_000, 100, 1_500_000, 2.0),
}


class Scenario:
    """One goal on one cluster. `dice` decides, `count` says how often."""

    endless = False  # the input flows until the last fault

    def __init__(self, goal, run, dice, count, gap, options):
        self.goal, self.run, self.dice, self.count, self.options = goal, run, dice, count, options
        self.done, self.notes = 0, []
        self.gap = gap

    def pause(self, factor=1.0):
        self.run.tick(self.dice.uniform(0.3, 1.7) * self.gap * factor)

    def victim(self):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            alive = [worker for worker in self.run.workers if worker.alive and worker.wanted]
            if alive:
                return self.dice.choice(alive)
            self.run.tick(0.1)
        raise Failure("no worker stays alive")

    def start(self):
        """Static members come back at once, the others when their session is over: both kinds at work."""
        for static in (True, True, False):
            self.run.add_worker(static)

    def act(self):
        while self.done < self.count:
            self.pause()
            self.step()
            self.progress()

    def progress(self):
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\033[K{self.run.name}: {self.done} of {self.count} {GOALS[self.goal][0]}")
            if self.done >= self.count:
                sys.stderr.write("\n")
            sys.stderr.flush()

    def check(self):
        """What else must hold when all have been stopped."""


class Kills(Scenario):
    def step(self):
        self.victim().kill()
        self.done += 1


class Failpoints(Scenario):
    """Every process has one failpoint at a time, and the next one when it has died of it. A failpoint
    waits for its n-th commit, so there has to be input for as long as one of them waits."""

    endless = True

    def start(self):
        self.run.snapshots = True
        names = re.findall(r'^    "([a-z-]+)",', (ROOT / "runtime/base/fault.c").read_text()
                           .split("mri_failpoints[] = {")[1].split("NULL")[0], re.M)
        rounds = max(1, math.ceil(self.count / len(names)))
        self.queue = [name for _ in range(rounds) for name in names]
        self.dice.shuffle(self.queue)
        self.count, self.hits = len(self.queue), dict.fromkeys(names, 0)
        self.armed = {}
        self.run.on_death = self.died
        for _ in range(3):
            worker = self.run.add_worker(True)
        self.run.tick(3)

    def arm(self, worker):
        """The next failpoint, for the start that follows."""
        worker.failpoint = None
        if self.queue:
            name = self.queue.pop()
            visits = 2 if name.startswith("snapshot") else VISITS_MAX
            worker.failpoint = f"{name}:{self.dice.randint(1, visits)}"
            self.armed[worker] = time.monotonic()

    def died(self, worker, code):
        if worker.failpoint is None or code != -signal.SIGKILL:
            return False
        self.hits[worker.failpoint.split(":")[0]] += 1
        self.done += 1
        self.armed.pop(worker, None)
        self.arm(worker)
        self.progress()
        return True

    def act(self):
        for worker in self.run.workers:
            self.arm(worker)
            worker.kill()
        while self.done < self.count:
            self.run.tick(0.2)
            late = [worker for worker, since in self.armed.items() if time.monotonic() - since > FAILPOINT_S]
            if late:
                raise Failure(f"failpoint {late[0].failpoint} is not reached within {FAILPOINT_S} s")
        self.notes.append(f"{len(self.hits)} points x {min(self.hits.values())}")


class Brokers(Scenario):
    """One broker at a time; the next one when all partitions have all their replicas again."""

    def step(self):
        number = self.done % self.run.cluster.count + 1
        self.run.cluster.broker_kill(number)
        self.run.tick(self.dice.uniform(3, 12))
        self.run.cluster.broker_start(number)
        deadline = time.monotonic() + 120
        while not self.run.cluster.in_sync(number):
            if time.monotonic() > deadline:
                raise Failure(f"broker {number} is not in sync 120 s after its start")
            self.run.tick(1)
        self.done += 1
        say(f"{self.run.name}: broker {number} killed and back, {self.done} of {self.count}")

    def pause(self, factor=1.0):
        self.run.tick(self.dice.uniform(1, 5))


class Rebalances(Scenario):
    def step(self):
        here = [worker for worker in self.run.workers if worker.wanted]
        what = self.dice.choice(["join", "leave", "roll"])
        if (what == "join" and len(here) < 6) or len(here) < 2:
            away = [worker for worker in self.run.workers if not worker.wanted]
            if away:
                self.dice.choice(away).start()
            else:
                self.run.add_worker(self.dice.random() < 0.3)
            self.done += 1
        elif what == "leave" or len(here) >= 6:
            worker = self.dice.choice(here)
            if worker.alive:
                worker.stop()
                self.done += 1
        else:
            for worker in here:
                if worker.alive:
                    worker.stop()
                    worker.start()
                    self.run.tick(self.gap / 2)
                    self.done += 2
        self.run.tick(0)


class Zombies(Scenario):
    def step(self):
        sleepers = [self.victim()]
        if self.count - self.done > 1:
            sleepers = self.dice.sample([w for w in self.run.workers if w.alive], 2)
        for worker in sleepers:
            os.kill(worker.process.pid, signal.SIGSTOP)
        self.run.tick(LEAVE_S)
        ends = [(worker, worker.process, worker.log.stat().st_size) for worker in sleepers]
        for worker in sleepers:
            os.kill(worker.process.pid, signal.SIGCONT)
        deadline = time.monotonic() + REJOIN_S
        for worker, process, size in ends:
            while process.poll() is None and b"partitions assigned" not in worker.log.read_bytes()[size:]:
                if time.monotonic() > deadline:
                    self.run.stacks(worker)
                    raise Failure(f"worker {worker.number} neither ends nor joins again {REJOIN_S} s after SIGCONT")
                self.run.tick(0.2)
            self.done += 1

    def pause(self, factor=1.0):
        self.run.tick(self.dice.uniform(2, 6))


class Network(Scenario):
    def step(self):
        fault = ("latency", "stall", "cut reset", "cut silent")[self.done % 4]
        long_s = 15 if self.options.ci else 30
        cluster = self.run.cluster
        if fault == "latency":
            cluster.network("latency 500")
            if (cluster.answers_after(30) or 0) < 1.0:
                raise Failure("the proxy delays nothing")
        elif fault == "stall":
            cluster.network("stall 10 200 1000")
        else:
            long_s = 30
            cluster.network(f"{fault} {long_s * 1000}")
            if cluster.answers_after(2) is not None:
                raise Failure("the proxy cuts nothing")
        say(f"{self.run.name}: {fault} for {long_s} s")
        self.run.tick(long_s)
        cluster.network("calm")
        self.done += 1

    def pause(self, factor=1.0):
        self.run.tick(self.dice.uniform(3, 8))


class Stops(Scenario):
    def start(self):
        super().start()
        self.run.tick(5)
        self.longest = 0

    def step(self):
        worker = self.victim()
        took = worker.stop()
        self.longest = max(self.longest, took)
        self.done += 1
        worker.start()

    def check(self):
        """What a stop left behind uncommitted would stand in the topics as aborted records."""
        self.notes.append(f"longest {self.longest:.1f} s")
        for worker in self.run.workers:
            if b"the last commit did not succeed" in worker.log.read_bytes():
                raise Failure(f"a stop left rows to the next run; see {worker.log}")
        replayed = 0
        for suffix in world.STAGES.values():
            topic = f"{self.run.name}-{suffix}"
            replayed += self.run.count(topic, "read_uncommitted") - self.run.count(topic, "read_committed")
        self.notes.append(f"{replayed} rows done again")
        if replayed > 0:
            raise Failure(f"{replayed} rows were sent and not committed, though every stop was a graceful one")


SCENARIOS = {"R2": Kills, "R3": Failpoints, "R4": Brokers, "R5": Rebalances, "R6": Zombies, "R7": Network,
             "R17": Stops}


class Torture:
    def __init__(self, options):
        self.options = options
        self.cluster, self.cluster_kind, self.calms = None, None, {}
        self.work = options.work
        self.failed = self.sabotaged = False
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)

    def cluster_for(self, goal):
        kind = "three" if goal == "R4" else "one"
        if kind != self.cluster_kind:
            self.close()
            say("starting " + kind + " broker" + ("s" if kind == "three" else ", with a proxy before it"))
            self.cluster = Cluster(self.work / f"cluster-{kind}", 3 if kind == "three" else 1,
                                   proxied=kind == "one", seed=self.options.seed)
            self.cluster_kind, self.calms = kind, {}
        return self.cluster

    def calm(self, cluster, run):
        """What one process makes of the same records when nothing happens to it."""
        if run.records in self.calms:
            return self.calms[run.records]
        address, cluster.worker_address = cluster.worker_address, cluster.address
        calm = Run(cluster, self.options.binary, self.work, f"calm-{self.cluster_kind}-{run.records}", run.records, run.seed, run.input)
        try:
            calm.add_worker(False)
            calm.drain(DRAIN_S)
            calm.stop_all()
            if calm.exits:
                raise Failure("the calm run did not stay calm")
            self.calms[run.records] = (calm, calm.results())
        finally:
            calm.close()
            cluster.worker_address = address
        return self.calms[run.records]

    def goal(self, goal, count, records, rate):
        began = time.monotonic()
        seed = self.options.seed
        dice = random.Random(f"{seed} {goal}")
        line = {"goal": goal, "what": GOALS[goal][0], "seed": seed, "count": 0, "records": records, "lost": 0,
                "doubled": 0, "disordered": 0, "differing": 0, "state": 0, "exits": 0, "ok": False, "note": ""}
        run = scenario = None
        try:
            cluster = self.cluster_for(goal)
            binary = self.options.faults_binary if goal == "R3" else self.options.binary
            run = Run(cluster, binary, self.work, goal.lower(), records, seed)
            gap = max(GOALS[goal][5], 0.9 * records / rate / count)  # over all of the input
            scenario = SCENARIOS[goal](goal, run, dice, count, gap, self.options)
            self.play(run, scenario, line, rate)
            line["ok"] = not any(line[name] for name in ("lost", "doubled", "disordered", "differing", "state"))
            if not line["ok"]:
                line["note"] = "; ".join(scenario.notes + [f"see {run.folder}"])
        except (Failure, OSError, ValueError, subprocess.SubprocessError) as failure:
            line["note"] = f"{type(failure).__name__}: {failure}"
            say(f"{goal} FAILED: {failure}")
            for worker in run.workers if run else []:
                say(f"worker {worker.number}:\n{world.fail_tail(worker.log)}")
        finally:
            if run is not None:
                run.close()
            if scenario is not None:
                line["count"] = scenario.done
            line["seconds"] = round(time.monotonic() - began)
        return line

    def play(self, run, scenario, line, rate):
        run.feed(rate, scenario.endless)
        scenario.start()
        scenario.act()
        run.on_death = None
        fed = run.feeder.poll() is None
        run.feed_end(run.records / rate + 120)
        healed = run.drain(HEAL_S if line["goal"] == "R4" else DRAIN_S)
        line["records"] = run.records
        scenario.notes.append(f"lag 0 after {healed:.0f} s" + ("" if fed else ", input ended before"))
        run.stop_all()
        line["exits"] = len(run.exits)
        scenario.check()
        calm, expected = self.calm(run.cluster, run)
        found = run.results()
        sums, wrong = world.compare(expected, found)
        line.update({name: sums[name] for name in ("lost", "doubled", "disordered", "differing", "state")})
        for stage, key, partition in wrong[:3]:
            run.rows_dump(calm, stage, key, partition)
            scenario.notes.append(f"wrong: {stage} {key}")
        line["note"] = "; ".join(scenario.notes)
        if not wrong and sums["state"] == 0 and not self.sabotaged and run.records <= SABOTAGE_RECORDS:
            self.sabotage(run, expected, found)

    def sabotage(self, run, expected, found):
        """The way from the topics to the verdict can fail: one row twice, and another value in a changelog."""
        self.sabotaged = True
        kcat = ["kcat", "-b", run.cluster.address]
        row = subprocess.run([*kcat, "-C", "-q", "-t", f"{run.name}-kept", "-p", "0", "-o", "beginning", "-c", "1",
                              "-f", "%k\n%s"], check=True, stdout=subprocess.PIPE).stdout.split(b"\n", 1)
        subprocess.run([*kcat, "-P", "-t", f"{run.name}-kept", "-p", "0", "-k", row[0]], input=row[1], check=True)
        subprocess.run([*kcat, "-P", "-t", f"{run.name}.keep.e1.state", "-p", "0", "-k", "tlayout"], input=b"other",
                       check=True)
        found = {**found, "keep": run.read(f"{run.name}-kept", "seq seq", "sabotaged.txt"),
                 "keep.state": run.read(f"{run.name}.keep.e1.state", "last", "sabotaged.state.txt")}
        sums, _ = world.compare(expected, found)
        if (sums["doubled"], sums["differing"], sums["state"], sums["lost"]) != (1, 1, 1, 0):
            raise Failure(f"a doubled row and a changed key in {run.name} give {sums}")
        say("a doubled row and a changed key, written into the topics of that run, are seen")

    def close(self):
        if self.cluster is not None:
            if self.failed and self.options.keep:
                say(f"the cluster stays at {self.cluster.address}")
            else:
                self.cluster.close()
            self.cluster = None


def self_test(options):
    """The verifier must see a lost, a doubled, a swapped and a changed row, and one of an aborted transaction."""
    rows = [(f"K{i % 7}", b'{"seq":%d,"price":%d}' % (i // 7 + 1, i)) for i in range(700)]

    def stream(some):
        return b"".join(b"0 %d %d %d %d\n%s%s" % (i, 1000, len(key), len(value), key.encode(), value)
                        for i, (key, value) in enumerate(some))

    def verified(some):
        lines = subprocess.run([world.TOOLS / "chaos_verify", "seq", "seq"], input=stream(some), check=True,
                               stdout=subprocess.PIPE).stdout.decode().splitlines()
        found = {f"{stage}{part}": [] for stage in world.STAGES for part in ("", ".state")}
        found["keep"] = lines
        return found

    calm = verified(rows)
    swapped, at = list(rows), 350
    swapped[at], swapped[at + 7] = rows[at + 7], rows[at]
    changed = list(rows)
    changed[at] = (rows[at][0], rows[at][1].replace(b'"price":', b'"price":1'))
    cases = {
        "nothing": (rows, {}),
        "lost": (rows[:at] + rows[at + 1:], {"lost": 1, "differing": 1}),
        "lost at the end": (rows[:-1], {"lost": 1, "differing": 1}),
        "a lost key": ([row for row in rows if row[0] != "K3"], {"lost": 100}),
        "doubled": (rows[:at + 20] + rows[at:at + 1] + rows[at + 20:], {"doubled": 1, "differing": 1}),
        "doubled at the end": (rows + rows[-1:], {"doubled": 1, "differing": 1}),
        "swapped": (swapped, {"disordered": 1, "differing": 1}),
        "changed": (changed, {"differing": 1}),
        "of an aborted transaction": (rows + [("GHOST", b'{"seq":1,"price":1}')], {"doubled": 1}),
    }
    for name, (some, expected) in cases.items():
        sums, _ = world.compare(calm, verified(some))
        for field in ("lost", "doubled", "disordered", "differing"):
            if sums[field] != expected.get(field, 0):
                sys.exit(f"chaos: self-test: {name}: {field} is {sums[field]}, not {expected.get(field, 0)}")
    state = {f"{stage}{part}": [] for stage in world.STAGES for part in ("", ".state")}
    other = dict(state, **{"keep.state": ["0 6b 3 00"]})
    if world.compare(state, other)[0]["state"] != 1:
        sys.exit("chaos: self-test: a differing state is not seen")
    say(f"the verifier sees what it must see: {len(cases) + 1} cases, seed {options.seed}")


def plan(options):
    """(goal, count, records, records per second) in order; three brokers last, so that one cluster serves."""
    goals = [goal for goal in options.goals.split(",") if goal]
    unknown = [goal for goal in goals if goal not in GOALS]
    if unknown:
        sys.exit(f"chaos: no goal {unknown[0]}; they are {' '.join(GOALS)}")
    for goal in sorted(goals, key=lambda name: (name == "R4", list(GOALS).index(name))):
        _, count, records, release_count, release_records, gap = GOALS[goal]
        if options.scale is not None:
            count = max(1, round(release_count * options.scale))
            records = max(100_000, round(release_records * options.scale))
        count = options.count or count
        records = options.records or records
        seconds = max(FEED_S, count * gap)
        yield goal, count, records, options.rate or max(1000, min(RATE_MAX, records / seconds))


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--goals", default="R2,R3,R5,R6,R17")
    parser.add_argument("--scale", type=float, help="1: the numbers of a release's 90 minutes; without: those of CI")
    parser.add_argument("--count", type=int, help="how many faults, instead")
    parser.add_argument("--records", type=int, help="how many records, instead")
    parser.add_argument("--rate", type=float, help="records per second, instead")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 1_000_000))
    parser.add_argument("--binary", default=os.environ.get("MILLRACE", ROOT / "build/release/millrace"),
                        type=pathlib.Path)
    parser.add_argument("--faults-binary", default=ROOT / "build/faults/millrace", type=pathlib.Path)
    parser.add_argument("--work", default=ROOT / "build/kafka/chaos", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path, help="a line per goal is added to this file")
    parser.add_argument("--keep", action="store_true", help="leave the cluster of a failed goal running")
    options = parser.parse_args()
    options.ci = options.scale is None
    return options


def main():
    options = parse()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(143))
    world.tools_there()
    say(f"seed {options.seed}")
    self_test(options)
    torture = Torture(options)
    bad = 0
    try:
        for goal, count, records, rate in plan(options):
            say(f"{goal}: {count} {GOALS[goal][0]}, {records} records at {rate:.0f}/s")
            line = torture.goal(goal, count, records, rate)
            again = f"tests/kafka/chaos.py --goals {goal} --count {count} --records {records} --seed {options.seed}"
            line["again"] = again
            say(json.dumps(line))
            if options.json is not None:
                with open(options.json, "a") as out:
                    out.write(json.dumps(line) + "\n")
            if not line["ok"]:
                bad += 1
                torture.failed = True
                say(f"{goal} FAILED; again: {again}")
                if options.keep:
                    break
    finally:
        torture.close()
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
