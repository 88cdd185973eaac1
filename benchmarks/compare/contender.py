"""A contender as the run sees it: something with a name that measures itself and gives its output."""

import json
import statistics
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent


class Failed(Exception):
    """A contender's process failed; the message holds the end of what it wrote."""


def tail(path, lines=15):
    return "\n".join(Path(path).read_text(errors="replace").splitlines()[-lines:])


class Worker:
    """A Python process that loads and warms up once and is then asked for times, a JSON line each.

    Time is measured by the worker around each job (a forward, a run) alone; while others are measured it waits for
    the next line and uses no time.
    """

    def __init__(self, name, command, log, question, environment=None):
        self.name, self.question, self.log = name, question, log
        with open(log, "w") as errors:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=errors, text=True, env=environment)
        self.facts = None

    def start(self):
        """Waits until it is warm."""
        self.facts = self.receive()
        return self

    def receive(self):
        line = self.process.stdout.readline()
        try:
            answer = json.loads(line)
        except json.JSONDecodeError:
            said = line.strip() and f"it said {line.strip()!r}; "
            raise Failed(f"{self.name} ended with {self.ended()}; {said}the end of {self.log}:\n"
                         f"{tail(self.log)}") from None
        return answer

    def ended(self):
        """Its exit status; it has closed its output, or what it says makes no sense."""
        try:
            return self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def ask(self, **question):
        try:
            self.process.stdin.write(json.dumps(question) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended: receive() says how
        return self.receive()

    def measure(self):
        """Median (CPU, wall) seconds of one job."""
        answer = self.ask(command="time", **self.question)
        return statistics.median(answer["cpu"]), statistics.median(answer["wall"])

    def output(self, path):
        self.ask(command="output", path=str(path))
        return path

    def close(self):
        try:
            self.process.communicate(timeout=20)  # end of input ends it
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self.process.kill()
            self.process.wait()


class Program:
    """bench_forward, bench_sampling: one process a measurement, which loads, warms up and times itself."""

    def __init__(self, name, command, output, job, environment=None):
        self.name, self.command, self.path, self.job, self.environment = name, command, output, job, environment
        self.facts = {}

    def start(self):
        self.measure()
        return self

    def measure(self):
        done = subprocess.run(self.command, capture_output=True, text=True, env=self.environment)
        if done.returncode != 0:
            raise Failed(f"{self.name} ended with {done.returncode}: {' '.join(self.command)}\n{done.stderr[-2000:]}")
        answer = json.loads(done.stdout)
        self.facts = {key: value for key, value in answer.items() if key != "samples"}
        return answer[f"cpu_seconds_per_{self.job}"], answer[f"wall_seconds_per_{self.job}"]

    def output(self, _):
        return self.path

    def close(self):
        pass
