"""The commands of `minidl dist` that measure and forecast: bench, calibrate, forecast."""

from __future__ import annotations

from typing import Annotated

import typer

from minidl_dist.answering import AsJson, Debug, answering_errors


def bench(
    size: Annotated[str, typer.Option(help="Bytes to push and pull.")] = "250MB",
    rounds: Annotated[
        int, typer.Option(min=1, help="How often everything is measured; medians are shown.")
    ] = 5,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Measure what messages cost on this machine, beside bare sockets that do the same."""
    with answering_errors("bench", debug):
        import json

        from minidl_dist.bench import bench, parse_size, report

        amount = parse_size(size)
        found = bench(amount, rounds)
        print(json.dumps(found) if as_json else report(amount, found))


def forecast(
    workers: Annotated[
        str, typer.Option(metavar="N,N", help="How many; several with commas between.")
    ] = "1,2,4,8,16,32,64,128,256,512,1000",
    servers: Annotated[int, typer.Option(help="Processes that hold the weights.")] = 1,
    mode: Annotated[str, typer.Option(help="sync, backup:K, ssp:N or async; see run.")] = "sync",
    size: Annotated[str, typer.Option(help="Of the model's weights.")] = "1.08MB",
    compute: Annotated[
        float, typer.Option(metavar="SECONDS", help="To compute a slot on a machine of its own.")
    ] = 0.145,
    network: Annotated[
        str,
        typer.Option(help="Of each process's machine, either way; none: all are on one machine."),
    ] = "10Gbit",
    rtt: Annotated[float, typer.Option(metavar="SECONDS", help="There and back.")] = 100e-6,
    cores: Annotated[int, typer.Option(help="Of each machine.")] = 4,
    straggler: Annotated[
        str,
        typer.Option(
            help="lognormal:0.1, slots differ by about 10 %; rare:0.01:5, one in a hundred takes "
            "5 times as long; slow:0.05:2, one worker in twenty is half as fast; with commas, all."
        ),
    ] = "none",
    optimizer: Annotated[str, typer.Option(help="SGD or Adam.")] = "SGD",
    steps: Annotated[
        int | None, typer.Option(min=1, help="To look at. Default: 300 slots, 6 steps at least.")
    ] = None,
    costs: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="From calibrate. Default: a machine measured before."),
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Say how fast a job would be, and why, without running it.

    The job's own processes decide in virtual time, on machines where computing,
    messages and bytes cost what was measured. A step's time is shared out by what it
    was spent on; "busiest" is the thread or network card with the least time left.
    """
    with answering_errors("forecast", debug):
        import json
        from pathlib import Path

        from minidl_dist import forecast as f
        from minidl_dist.bench import parse_size
        from minidl_dist.costs import OURS, Costs
        from minidl_dist.scenario import Scenario, parse_network, parse_workers

        counts = parse_workers(workers)
        scenario = Scenario(
            workers=counts[0], servers=servers, mode=mode, size=parse_size(size), compute=compute,
            network=parse_network(network), rtt=rtt, cores=cores, straggler=straggler,
            optimizer=optimizer, steps=steps or 0,
        )  # fmt: skip
        measured = Costs.read(Path(costs) if costs else OURS)
        found = f.forecasts(scenario, counts, measured)
        if as_json:
            print(json.dumps(f.as_json(found, scenario, measured)))
        else:
            f.show(found, scenario, measured)


def calibrate(
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Where to write them.")
    ] = "costs.json",
    debug: Debug = False,
) -> None:
    """Measure what messages and bytes cost on this machine, for forecast."""
    with answering_errors("calibrate", debug):
        from pathlib import Path

        from minidl_dist.calibrate import calibrate, report

        costs = calibrate()
        costs.save(Path(output))
        print(report(costs))
        print(f"in {output}: minidl dist forecast --costs {output}")
