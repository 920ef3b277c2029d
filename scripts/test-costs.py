#!/usr/bin/env python3
"""Processor seconds of tests, user and system, children included: what a test costs on a machine that has other work too.

    scripts/test-costs.py BUILD [ctest options]      such as -L '^unit$', -R offline

Runs the tests that ctest chooses one after the other, as ctest would, and prints a line `SECONDS NAME` for each, the costliest first, and
their sum. The exit status is 1 when a test fails; its output is then printed.
"""
import json
import os
import resource
import subprocess
import sys


def properties(test: dict) -> dict:
    return {p["name"]: p["value"] for p in test.get("properties", [])}


def in_order(tests: list[dict]) -> list[dict]:
    """Those that set a fixture up before those that need it."""
    done: list[dict] = []
    names = {f for t in tests for f in properties(t).get("FIXTURES_SETUP", [])}
    while len(done) < len(tests):
        left = [t for t in tests if t not in done]
        missing = {f for t in left for f in properties(t).get("FIXTURES_SETUP", [])}
        done += [t for t in left if not missing & names & set(properties(t).get("FIXTURES_REQUIRED", []))]
    return done


def environment(test: dict) -> dict:
    env = dict(os.environ)
    for line in properties(test).get("ENVIRONMENT", []):
        name, _, value = line.partition("=")
        env[name] = value
    for line in properties(test).get("ENVIRONMENT_MODIFICATION", []):
        name, _, what = line.partition("=")
        assert what == "unset:", line
        env.pop(name, None)
    return env


def processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> int:
    build, options = sys.argv[1], sys.argv[2:]
    listed = json.loads(subprocess.check_output(["ctest", "--test-dir", build, "--show-only=json-v1", *options]))
    costs, failed = [], 0
    for test in in_order([t for t in listed["tests"] if "command" in t and not properties(t).get("DISABLED")]):
        before = processor_seconds()
        ran = subprocess.run(test["command"], env=environment(test), cwd=properties(test).get("WORKING_DIRECTORY", build),
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        costs.append((processor_seconds() - before, test["name"]))
        if ran.returncode not in (0, properties(test).get("SKIP_RETURN_CODE", 0)):
            failed = 1
            print(f"FAIL: {test['name']}\n{ran.stdout.decode(errors='replace')}", file=sys.stderr)
        print(f"{costs[-1][0]:8.1f} {test['name']}", file=sys.stderr, flush=True)
    for seconds, name in sorted(costs, reverse=True):
        print(f"{seconds:8.1f} {name}")
    print(f"{sum(seconds for seconds, _ in costs):8.1f} together")
    return failed


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    sys.exit(main())
