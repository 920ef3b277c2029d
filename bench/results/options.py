"""The command line of the scripts beside this file, and how they end: bad input and mishaps give one line that names culprit and remedy.

Exit status 2: the command line is wrong; 130: stopped by Ctrl-C; 1, or that of the program that a script ran: anything else.
"""
import argparse
import difflib
import json
import math
import os
import shutil
import signal
import subprocess
import sys

INTERRUPTED = 130  # exit status of a run that was stopped and can go on


class Parser(argparse.ArgumentParser):
    """Without abbreviations; an error is one line, with exit status 2."""

    def __init__(self, text, prog=None):
        super().__init__(prog=prog, description=text, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)

    def error(self, message):
        said = message[len("argument "):] if message.startswith("argument ") else message
        self.exit(2, "%s: %s; --help lists the options\n" % (self.prog, said))

    def refuse(self, message):
        """As error, where the message names the remedy."""
        self.exit(2, "%s: %s\n" % (self.prog, message))

    def only_with(self, given, allowed, what):
        """Refuses what was given beside these names and says nothing to what is done."""
        for name, value in vars(given).items():
            if name not in allowed and value != self.get_default(name):
                self.refuse("%s says nothing to %s: leave it out" % (value if name == "row" else "--" + name, what))

    def settle(self, given, **types):
        """Types of options that have defaults, for what makes use of them."""
        for name, kind in types.items():
            try:
                setattr(given, name, kind(getattr(given, name)))
            except argparse.ArgumentTypeError as wrong:
                self.refuse("--%s: %s" % (name, wrong))


def count(text):
    """A whole number from 1."""
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError("'%s' is not a whole number from 1" % text)
    return int(text)


def amount(text):
    """A number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError("'%s' is not a number above 0" % text)
    return value


def folder(text):
    """One that is there."""
    if not os.path.isdir(text):
        raise argparse.ArgumentTypeError("no folder '%s': name one that is there" % text)
    return text


def place(text):
    """A folder that is there, or can be made."""
    at = os.path.abspath(text)
    while at != os.path.dirname(at) and not os.path.lexists(at):
        at = os.path.dirname(at)
    if not text or not os.path.isdir(at):
        raise argparse.ArgumentTypeError("'%s': %s is no folder: name one, there or not" % (text, at if text else "''"))
    return text


def program(text):
    """One that can be run; as a path, so that no PATH is asked."""
    found = shutil.which(text if os.path.dirname(text) else os.path.join(os.curdir, text))
    if not found:
        raise argparse.ArgumentTypeError("no program '%s': build it (cmake --build build), or name it (--program PATH)" % text)
    return found


def words(value):
    """Text that is not empty."""
    if not value.strip():
        raise argparse.ArgumentTypeError("'' is empty: leave the option out, or say something")
    return value


def one_of(names, what):
    """A type for one of these names."""
    def choose(name):
        if name not in names:
            like = difflib.get_close_matches(name, names, 1)
            raise argparse.ArgumentTypeError("there is no %s '%s'%s; there are %s" % (
                what, name, "; did you mean %s" % like[0] if like else "", ", ".join(names)))
        return name
    return choose


# ---- the program ----

def last_error(said, program):
    """The program's last error, or its last line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    own = os.path.basename(program) + ": "
    errors = [line for line in lines if line.startswith((own, "clmaml: ")) and ": note: " not in line]
    return (errors or lines or ["no message"])[-1]


def failed(what, status, said, program, more=""):
    """Ends the script as the program ended, with what it said."""
    print("%s: %s: %s%s" % (what, "signal %d" % -status if status < 0 else "exit status %d" % status, last_error(said, program), more),
          file=sys.stderr)
    sys.exit(status if status > 0 else 1)


def follow(what, command, log_path, wait):
    """Runs the program, appends what it says to the log, and returns its exit status, 0 or INTERRUPTED; `wait` waits for the process."""
    with open(log_path, "a+") as log:
        log.seek(0, os.SEEK_END)
        begin = log.tell()
        status = wait(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT))
        if status not in (0, INTERRUPTED):
            log.seek(begin)
            failed(what, status, log.read(), command[0], "; see " + log_path)
    return status


def answer(what, command):
    """What the program prints, which is JSON."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    if done.returncode:
        failed(what, done.returncode, done.stderr, command[0])
    return json.loads(done.stdout)


# ---- files ----

def read_json(path):
    with open(path) as file:
        try:
            return json.load(file)
        except ValueError:
            sys.exit("%s: not the JSON that belongs here: make it anew" % path)


def rows_of(path):
    """Objects of a file of JSON lines; one that is cut short is one that a killed run was writing."""
    with open(path) as file:
        for line in file:
            try:
                found = json.loads(line)
            except ValueError:
                continue
            yield found


# ---- the whole ----

def run(main):
    """Runs a script's main; what goes wrong ends in one line."""
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except OSError as error:
        if error.filename is None:
            sys.exit(str(error))
        sys.exit("%s: %s" % (error.filename, error.strerror))
