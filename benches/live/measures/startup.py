"""Measures what the end and the beginning of the module take with many parked calls: how soon `unload` is refused, and, after a crash of FreeSWITCH, how long
`load` takes with these calls in the slot store. mod_valet_parking keeps no calls, so it has no figure."""

import time

from callers import Callers
from modules import CALLPARK
from results import Row

PARKED = 1000


def points(settings):
    return [PARKED]


def take(bench, module, count):
    if module is not CALLPARK:
        return {}
    with bench.fresh() as environment, environment.parked_callers(module, module.number("music"), count, bench.settings.settle, Callers(sends="nothing")):
        switch = environment.switch
        refused, answer = _timed(switch, "unload mod_callpark")
        if "-ERR" not in answer:
            raise RuntimeError(f"unload was not refused: {answer}")
        switch.kill()
        _leave_out(switch)
        switch.start()
        switch.events.close()
        loaded, answer = _timed(switch, "load mod_callpark")
        known = sum(lot["used"] for lot in switch.json("lots"))
        if "+OK" not in answer or known != count:
            raise RuntimeError(f"{known} of {count} calls are known after the load: {answer}")
    named = f"{count} parked"
    return {
        Row(f"unload is refused, {named}", "ms", note=True): [1000 * refused],
        Row(f"load after a crash, {named}", "ms", note=True): [1000 * loaded],
    }


def _timed(switch, command):
    began = time.monotonic()
    answer = switch.api(command)
    return time.monotonic() - began, answer


def _leave_out(switch):
    """Lets FreeSWITCH start without the module."""
    file = switch.dir / "conf/freeswitch.xml"
    file.write_text(file.read_text().replace('<load module="mod_callpark"/>', ""))
