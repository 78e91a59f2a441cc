"""`minidl dist`: run, resume, status, logs, cancel, scale, bench, forecast, and for a cluster.

Each turns its options into one object and calls one function. Slow imports are inside the commands,
so that --help answers at once.
"""

from __future__ import annotations

import os
import shlex
import sys
from typing import Annotated

import typer

from minidl_dist.answering import AsJson, Debug, answering_errors
from minidl_dist.measuring import bench, calibrate, forecast

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
dist = typer.Typer(
    name="dist", help="Train with several processes, which lose nothing when one of them dies.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
)  # fmt: skip
app.add_typer(dist)

Job = Annotated[str, typer.Argument(metavar="JOB", help="Folder of a job, or its name in runs/.")]
Computing = typer.Option(
    metavar="SECONDS", help="A worker that needs longer for a slot is stuck, and starts again."
)
Evaluating = typer.Option(metavar="SECONDS", help="The same for a batch of validation.")
Address = Annotated[
    str,
    typer.Option(
        metavar="IF|ADDRESS",
        help="Where coordinator and servers listen, by TCP and with keys: an interface such as "
        "eth0, or an address of one machine; with :PORT for the coordinator.",
    ),
]
Operator = Annotated[
    str,
    typer.Option(metavar="KEY", help="Who may look, cancel and scale from elsewhere, see keygen."),
]
Keys = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="For a JOB tcp://ADDRESS:PORT/KEY: what keygen wrote."),
]
Compress = Annotated[
    str | None, typer.Option(metavar="HOW", help="Instead of job.toml's; see run.")
]


# --- running ------------------------------------------------------------------------------------


@dist.command("run", context_settings={"allow_interspersed_args": False})
def run(
    command: Annotated[
        list[str],
        typer.Argument(
            metavar="-- COMMAND...|SCRIPT.py...",
            help="A training command of minidl, or a script, and its arguments.",
        ),
    ],
    servers: Annotated[int, typer.Option(help="Processes that hold the weights.")] = 1,
    workers: Annotated[int, typer.Option(help="Processes that compute gradients.")] = 2,
    mode: Annotated[
        str,
        typer.Option(
            help="sync; backup:K leaves out the K slowest slots of a step; ssp:N lets a slot be N "
            "steps ahead; async any number. Only sync gives the same bits each time."
        ),
    ] = "sync",
    slots: Annotated[
        int | None,
        typer.Option(
            metavar="S",
            help="Parts of each batch, which workers compute. They alone decide the result, not "
            "who computes them. Default: one for each worker.",
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(metavar="T", help="Threads of a worker. Default: cores / workers."),
    ] = None,
    checkpoint_every: Annotated[
        int, typer.Option(metavar="N", help="Steps from one checkpoint to the next.")
    ] = 100,
    on_nan: Annotated[
        str, typer.Option(help="A gradient that is not finite: stop, or skip the step.")
    ] = "stop",
    compress: Annotated[
        str,
        typer.Option(
            metavar="HOW",
            help="Of gradients, for a slow network: none, bf16 (half of the bytes), 1bit (one "
            "25th), topk:SHARE (topk:0.01: one 67th).",
        ),
    ] = "none",
    hosts: Annotated[
        str,
        typer.Option(
            metavar="A,B",
            help="Machines to start the processes on, by ssh; A=ADDRESS where the others reach it "
            "by another. minidl and the job's files are in the same places there.",
        ),
    ] = "",
    shell: Annotated[
        str, typer.Option(help="Instead of ssh: runs a command on a machine, as SHELL A COMMAND.")
    ] = "",
    computing_limit: Annotated[float, Computing] = 300.0,
    evaluating_limit: Annotated[float, Evaluating] = 3600.0,
    address: Address = "",
    operator: Operator = "",
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse workers with other software or processors.")
    ] = False,
    restarts: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="How often a process is started again if each of its lives was shorter than ten "
            "minutes. A worker that dies more often is left out while others live.",
        ),
    ] = 3,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="Folder of the job; by default a new one in runs/."),
    ] = None,
    debug: Debug = False,
) -> None:
    """Train with several processes, on this machine or several.

    \b
    minidl dist run --workers 2 -- train resnet20_cifar --data cifar10 --epochs 2
    minidl dist run --workers 4 script.py ARGUMENTS

    The result is that of one process with --slots S and as many threads as a
    worker, bit for bit, whatever dies meanwhile. Ctrl-C saves a checkpoint and ends
    all processes; `minidl dist resume JOB` goes on.
    """
    with answering_errors("run", debug):
        from minidl_dist import folder as job_folder
        from minidl_dist.launch.engines import check_engine
        from minidl_dist.launch.spec import Launch, check_launch
        from minidl_dist.run import completed, run_job

        launch = Launch(
            command=command, servers=servers, workers=workers, mode=mode, slots=slots or 0,
            threads=threads or 0, checkpoint_every=checkpoint_every, on_nan=on_nan, strict=strict,
            restarts=restarts, hosts=hosts, shell=shell, engine="ssh" if hosts else "local",
            address=address, operator=operator_key(operator), computing_limit=computing_limit,
            evaluating_limit=evaluating_limit, compress=compress,
        )  # fmt: skip
        check_launch(launch)
        check_engine(launch)
        launch = completed(launch)
        folder = job_folder.make_folder(output, launch.name)
        job_folder.write_job(folder, launch, typed())
        run_job(launch, folder, is_new=True)


@dist.command("resume")
def resume(
    job: Job,
    servers: Annotated[
        int | None,
        typer.Option(help="Another number than before; their disk is one that all share."),
    ] = None,
    debug: Debug = False,
) -> None:
    """Resume a job that was interrupted or failed from its last checkpoint."""
    with answering_errors("resume", debug):
        from minidl_dist import folder as job_folder
        from minidl_dist.run import run_job
        from minidl_dist.submit import begin

        folder = job_folder.find_job(job).resolve()
        content = job_folder.read_job(folder)
        os.chdir(content["started_in"])  # relative paths in its command are from there
        launch = content["launch"]
        if servers is not None:
            launch = job_folder.with_servers(folder, content, servers)
        if launch.engine == "slurm":
            return begin(folder, launch)
        run_job(launch, folder)


# --- job folders --------------------------------------------------------------------------------


@dist.command("init")
def init(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Folder to make.")],
    debug: Debug = False,
) -> None:
    """Make a job folder: job.toml, and train.py with build_model() and run_model()."""
    with answering_errors("init", debug):
        from pathlib import Path

        from minidl_dist.job import write_template

        write_template(Path(name))
        print(f"{name}/job.toml and {name}/train.py are yours to change")
        print(f"try it here: minidl dist test {name}")


Folder = Annotated[str, typer.Argument(metavar="FOLDER", help="A job folder, see init.")]


@dist.command("test")
def test(
    folder: Folder,
    hosts: Annotated[
        str,
        typer.Option(metavar="A,B", help="Machines that must reach each other as well, see run."),
    ] = "",
    shell: Annotated[str, typer.Option(help="Instead of ssh, see run.")] = "",
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Folder for what it writes.")
    ] = None,
    compress: Compress = None,
    debug: Debug = False,
) -> None:
    """Run a job folder here, with one server and two workers, as a cluster would."""
    with answering_errors("test", debug):
        from minidl_dist.submit import test_job

        test_job(folder, output, typed(), hosts, shell, compress)


@dist.command("submit")
def submit(
    folder: Folder,
    engine: Annotated[
        str,
        typer.Option(
            help="What starts the processes: local; ssh, on --hosts; slurm, by sbatch and srun; "
            "ray, on the cluster of which this machine is a node."
        ),
    ] = "local",
    hosts: Annotated[str, typer.Option(metavar="A,B", help="For ssh, see run.")] = "",
    sbatch: Annotated[
        str | None,
        typer.Option(metavar="OPTIONS", help="For slurm, in one word: '--time=2:00:00 --nodes=2'."),
    ] = None,
    address: Address = "",
    operator: Operator = "",
    store: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Where code goes and results come: file://PATH, s3://BUCKET/PATH."
        ),
    ] = None,
    servers: Annotated[int | None, typer.Option(help="Instead of job.toml's.")] = None,
    workers: Annotated[int | None, typer.Option(help="Instead of job.toml's.")] = None,
    mode: Annotated[str | None, typer.Option(help="Instead of job.toml's.")] = None,
    slots: Annotated[int | None, typer.Option(metavar="S", help="Instead of job.toml's.")] = None,
    computing_limit: Annotated[float | None, Computing] = None,
    evaluating_limit: Annotated[float | None, Evaluating] = None,
    compress: Compress = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="Folder of the job; by default a new one in runs/."),
    ] = None,
    debug: Debug = False,
) -> None:
    """Pack the code of a job folder, upload it, and start the job in the background."""
    with answering_errors("submit", debug):
        from minidl_dist.submit import submit_job

        place = submit_job(
            folder, store, output, typed(), servers=servers, workers=workers, mode=mode,
            slots=slots, engine=engine, hosts=hosts, address=address, sbatch=sbatch,
            computing_limit=computing_limit, evaluating_limit=evaluating_limit,
            operator=operator_key(operator), compress=compress,
        )  # fmt: skip
        print(f"{place} {'waits for machines' if engine == 'slurm' else 'runs'}")
        print(f"minidl dist status {place}; also logs, cancel, resume, scale")


def operator_key(text: str) -> str:
    """The key of --operator, as keygen prints it."""
    from minidl_dist.keys import from_hex

    return from_hex("dist", text) if text else ""


def typed() -> str:
    """The command line, for job.json."""
    return shlex.join(["minidl", *sys.argv[1:]])


# --- looking on ---------------------------------------------------------------------------------


@dist.command("status")
def status(
    job: Job,
    as_json: AsJson = False,
    follow: Annotated[bool, typer.Option("--follow", help="Again with each change.")] = False,
    prometheus: Annotated[
        bool, typer.Option("--prometheus", help="As text for a Prometheus textfile collector.")
    ] = False,
    keys: Keys = None,
    debug: Debug = False,
) -> None:
    """Show the processes of a job, and how far it is."""
    with answering_errors("status", debug):
        from minidl_dist.status import show_status

        form = "json" if as_json else "prometheus" if prometheus else "text"
        show_status(job, form, follow, keys)


@dist.command("logs")
def logs(
    job: Job,
    name: Annotated[
        str | None, typer.Argument(help="A process, such as worker1. Default: all of them.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on as lines come.")] = False,
    debug: Debug = False,
) -> None:
    """Show what the processes of a job printed."""
    with answering_errors("logs", debug):
        from minidl_dist.status import show_logs

        show_logs(job, name, follow)


@dist.command("cancel")
def cancel(job: Job, keys: Keys = None, debug: Debug = False) -> None:
    """End a job after a last checkpoint; `minidl dist resume` goes on with it."""
    with answering_errors("cancel", debug):
        from minidl_dist.status import cancel_job

        cancel_job(job, keys)


@dist.command("scale")
def scale(
    job: Job,
    workers: Annotated[int, typer.Option(help="How many there shall be.")],
    keys: Keys = None,
    debug: Debug = False,
) -> None:
    """Change the number of workers of a job that runs. Its slots, and so the result, stay."""
    with answering_errors("scale", debug):
        from minidl_dist.status import scale_job

        scale_job(job, workers, keys)


@dist.command("keygen")
def keygen(
    file: Annotated[str, typer.Argument(metavar="FILE", help="New file for the keys.")],
    debug: Debug = False,
) -> None:
    """Make a pair of keys, with which a job is asked from another machine.

    \b
    minidl dist keygen me.key                              prints the public key
    minidl dist submit JOB --address eth0 --operator KEY   there
    minidl dist status tcp://ADDRESS:PORT/KEY --keys me.key

    The file is yours alone (mode 0600). The status of the job, where it was
    started, shows the address; cancel and scale know it, too.
    """
    with answering_errors("keygen", debug):
        from minidl_dist import remote

        print(remote.keygen(file))


# --- measuring ----------------------------------------------------------------------------------

for command in (bench, forecast, calibrate):
    dist.command()(command)
