"""Run the story: `python -m demo`."""

from __future__ import annotations

import signal
import sys
import tempfile
from pathlib import Path

import click
from rich.console import Console

from demo.page import page
from demo.screen import Screen
from demo.steps import STEPS
from demo.transcript import Step, Transcript
from demo.world import COMMANDS, World


@click.command()
@click.option("--step", type=int, metavar="NUMBER", help="Show this step alone.")
@click.option("--hold", is_flag=True, help="Leave everything running at the end, until Ctrl-C.")
@click.option(
    "--docs",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Write demo.md and zh/demo.md there, with all that was printed.",
)
def main(*, step: int | None, hold: bool, docs: Path | None) -> None:
    """Show the gateway end to end; the exit code is 1 if anything is not as it should be."""
    chosen = [each for each in STEPS if step in (None, each.number)]
    if not chosen:
        raise click.BadParameter(f"there are 0 to {STEPS[-1].number}", param_hint="--step")
    # A story that is told to end ends the processes that it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    screen = Screen(Console(highlight=False))
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        world = World(Path(folder))
        try:
            world.start(dict.fromkeys(need for each in chosen for need in each.needs))
            told = [(each, _shown(each, world, screen)) for each in chosen]
            if hold:
                _hold(world, screen)
        finally:
            world.end()
    if docs is not None:
        (docs / "zh").mkdir(parents=True, exist_ok=True)
        (docs / "demo.md").write_text(page("en", told, world.ports))
        (docs / "zh" / "demo.md").write_text(page("zh", told, world.ports))
    failed = sum(not transcript.holds for _, transcript in told)
    screen.say(f"\n{failed} of {len(told)} steps failed" if failed else f"\nall {len(told)} hold")
    if failed:
        raise SystemExit(1)


def _shown(step: Step, world: World, screen: Screen) -> Transcript:
    """Show a step."""
    screen.begin(step)
    told = Transcript(world, screen.tell)
    step.run(told)
    if not told.holds:
        for name, words in world.last_words.items():
            screen.say(f"-- {name}:\n{words}")
    return told


def _hold(world: World, screen: Screen) -> None:
    """Tell what runs and how it is reached, and wait for Ctrl-C."""
    screen.say(f"\nIt runs. In another terminal: cd {world.folder} && . ./environment")
    for name in world.running:
        screen.say(f"  {name}: {world.ports.real(COMMANDS[name])}")
    screen.say("Ctrl-C ends it.")
    try:
        signal.pause()
    except KeyboardInterrupt:
        screen.say("")


if __name__ == "__main__":
    main()
