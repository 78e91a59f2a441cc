"""A job in one process: the real machines and training threads, messages by hand, virtual time.

One thing runs at a time. A training thread computes until it waits for its machine; when all wait,
messages are delivered, one after the other; when there are none, time goes on to the next timer. A
slot takes its time, messages take none. So trainings share the random numbers of the process
without disturbing each other.
"""

import hashlib
import heapq
import threading
from collections import deque
from copy import deepcopy

import minidl.training.fit as fit_module
import minidl_dist.script as script_module
from minidl.training import slots
from minidl_dist import messages as m
from minidl_dist.client import Client
from minidl_dist.coordinator import Coordinator
from minidl_dist.manifest import unneeded
from minidl_dist.plan import Job
from minidl_dist.server import Server
from minidl_dist.worker import Worker

SLOT = 0.1  # seconds, in which others get their turn


class Killed(BaseException):
    """The process is gone; its thread here ends."""


class Inbox:
    """Where a training thread waits, and lets others run meanwhile."""

    def __init__(self, world):
        self.world, self.items = world, deque()
        self.is_dead = self.waits = self.has_ended = False

    def put(self, effect):
        self.items.append(effect)

    def get(self):
        turn = self.world.turn
        self.waits = True
        turn.notify_all()
        while not self.items and not self.is_dead:
            turn.wait()
        self.waits = False
        if self.is_dead:
            raise Killed
        return self.items.popleft()


class World:
    """A coordinator, servers, and workers that each call train(name).

    Args:
        train: called with a worker's name in a thread of its own; trains with minidl.fit.
        servers, workers: how many.
        default: slots of a step.
        faults: called after each event that a training thread posts: (world, name, event).
        job: further options of plan.Job.
    """

    def __init__(self, train, servers=1, workers=2, default=1, faults=None, **job):
        self.train, self.default, self.faults = train, default, faults or (lambda *_: None)
        names = tuple(f"server{n}" for n in range(servers))
        self.job = Job(names, **{"save_every": 2, **job})
        self.turn = threading.Condition()
        self.now, self.count, self.is_running = 0.0, 0, False
        self.mail: deque = deque()
        self.timers: list = []
        self.disk: dict = {}
        self.token = 0  # the highest in a manifest or claim
        self.machines: dict = {}
        self.lives: dict[str, int] = {}
        self.clients: dict[str, Client] = {}
        self.results: dict = {}
        self.notes: list[dict] = []
        self.by_thread: dict = {}
        self.slots_computed: list = []
        for name in ("coordinator", *names, *(f"worker{n}" for n in range(workers))):
            self.boot(name)

    # --- processes ------------------------------------------------------------------------------

    def boot(self, name):
        life = self.lives[name] = self.lives.get(name, 0) + 1
        if name == "coordinator":
            self.machines[name] = Coordinator(self.job)
        elif name.startswith("server"):
            self.machines[name] = Server(name, life)
        else:
            self.machines[name] = Worker(name, life)
            self.clients[name] = client = Client(name, self.default, self.job.mode)
            client.inbox = Inbox(self)
            client.post = lambda event: self.post(name, life, event)
            threading.Thread(target=self.work, args=(name, client), daemon=True).start()
        self.mail.append((name, life, m.Started()))

    def work(self, name, client):
        self.by_thread[threading.get_ident()] = client
        with self.turn:
            while not self.is_running:
                self.turn.wait()
            try:
                self.results[name] = self.train(name)
            except BaseException as error:
                self.results[name] = error
            if not client.inbox.is_dead:
                client.close()
            client.inbox.has_ended = True
            self.turn.notify_all()

    def post(self, name, life, event):
        if self.clients[name].inbox.is_dead:
            raise Killed
        self.mail.append((name, life, event))
        if isinstance(event, m.SlotDone):
            self.now += SLOT
            self.slots_computed.append((name, event.step, event.slot))
        self.faults(self, name, event)

    def kill(self, name):
        """As by kill -9, seen by the launcher."""
        del self.machines[name]
        if name in self.clients:
            self.clients[name].inbox.is_dead = True
        if "coordinator" in self.machines:
            self.mail.append(("coordinator", self.lives["coordinator"], m.Left(name, "signal 9")))

    def restart(self, name):
        self.kill(name)
        self.boot(name)

    # --- time -----------------------------------------------------------------------------------

    def run(self, limit=2000.0):
        """Until the job is over. Returns worker -> what its train returned or raised."""
        with self.turn, PerThread(self):
            self.is_running = True
            self.turn.notify_all()
            while any(name.startswith("worker") for name in self.machines):
                if any(self.is_busy(client) for client in self.clients.values()):
                    if not self.turn.wait(600):
                        raise AssertionError("a training thread hangs")
                elif self.mail and not self.is_due():
                    self.deliver(*self.mail.popleft())
                else:
                    time, _, *mail = heapq.heappop(self.timers)
                    self.now = max(self.now, time)
                    if self.now > limit:
                        raise AssertionError(f"no progress; last notes: {self.notes[-9:]}")
                    self.deliver(*mail)
            while any(self.is_busy(client) for client in self.clients.values()):
                self.turn.wait(600)
        return self.results

    def is_due(self):
        return bool(self.timers) and self.timers[0][0] <= self.now

    def is_busy(self, client):
        inbox = client.inbox
        return not inbox.has_ended and (not inbox.waits or inbox.is_dead or bool(inbox.items))

    # --- effects --------------------------------------------------------------------------------

    def deliver(self, name, life, event):
        if name in self.machines and self.lives[name] == life:
            for effect in self.machines[name].handle(event, self.now):
                self.carry_out(name, life, effect)

    def carry_out(self, name, life, effect):
        match effect:
            case m.Send(to, message):
                if to in self.machines:
                    self.mail.append((to, self.lives[to], m.Received(name, message)))
            case m.SetTimer(after, timer):
                self.count += 1
                mail = name, life, m.Timer(timer)
                heapq.heappush(self.timers, (self.now + after, self.count, *mail))
            case m.Store(file, value, tag):
                self.mail.append((name, life, self.stored(file, value, tag)))
            case m.Load(file, tag):
                value = self.disk.get(file)
                if file == "manifest" and self.token:
                    value = {**(value or {}), "token": self.token}
                self.mail.append((name, life, m.Loaded(file, value, tag)))
            case m.Remove(names):
                for file in names:
                    self.disk.pop(file, None)
            case m.Sweep():
                for file in unneeded(self.disk, effect):
                    del self.disk[file]
            case m.Note(facts):
                self.notes.append(facts)
            case m.Exit():
                del self.machines[name]
            case _:
                self.clients[name].take(effect)
                self.turn.notify_all()

    def stored(self, file, value, tag):
        """The disk, and its rule for manifests: see messages.Store."""
        if file == "manifest":
            is_claim = m.CLAIM in value
            if self.token >= value["token"] + (not is_claim):
                return m.Stored(file, tag, error=m.FENCED)
            self.token = value["token"]
            if is_claim:
                return m.Stored(file, tag)
        self.disk[file] = deepcopy(value)  # arrays may change from now on
        return m.Stored(file, tag, hashlib.sha256(repr(value).encode()).hexdigest())


class PerThread:
    """minidl.fit and connect ask for the slots of the thread that calls them."""

    def __init__(self, world):
        self.world = world

    def __enter__(self):
        self.before = slots.of_this_process
        fit_module.of_this_process = script_module.of_this_process = self.mine

    def __exit__(self, *exception):
        fit_module.of_this_process = script_module.of_this_process = self.before

    def mine(self):
        return self.world.by_thread.get(threading.get_ident()) or slots.Slots()
