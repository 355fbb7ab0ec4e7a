"""The two modules that are compared: the dialplan, the listing command and the events of each."""

from dataclasses import dataclass

FIRST, LAST = 3000, 4999
LOT = f"""
<lot name="bench" domain="*">
  <param name="retrieve-anonymous" value="true"/>
  <param name="slots" value="{FIRST}-{LAST}"/>
  <param name="park-timeout" value="0"/>
  <param name="announce" value="false"/>
  <param name="retrieve-from" value="*"/>
</lot>"""


@dataclass(frozen=True)
class ParkingModule:
    """A module for call parking. `parks`, `takes` and `times_out` are the actions of its dialplan, as its users write them."""

    name: str
    parks: str
    takes: str
    times_out: str
    listing: str
    event: str
    # `action` and `slot` are the names of event headers. `parked` and `due` are the values of the first when a call is parked and when its
    # timeout is over.
    action: str
    parked: str
    due: str
    slot: str

    def number(self, sound):
        """The number that parks a call with this sound, by dialling or by a transfer."""
        return f"{self.name}-{sound}"

    def number_to_take(self, slot):
        return f"{self.name}-take-{slot}"

    def number_due_after(self, seconds):
        """The number that parks a call with music and with a timeout."""
        return f"{self.name}-due-{seconds}"

    def extensions(self, sounds):
        music = sounds["music"]
        parks = [(self.number(sound), _set("hold_music", stream) + self.parks) for sound, stream in sounds.items()]
        return "".join(_extension(pattern, lines) for pattern, lines in [
            *parks,
            (self.number_to_take(r"(\d+)"), self.takes),
            (self.number_due_after(r"(\d+)"), _set("hold_music", music) + self.times_out + self.parks),
        ])


def _app(name, data=""):
    return f'<action application="{name}" data="{data}"/>'


def _set(name, value):
    return _app("set", f"{name}={value}")


def _extension(pattern, lines):
    return f'<extension name="{pattern}"><condition field="destination_number" expression="^{pattern}$">{lines}</condition></extension>'


CALLPARK = ParkingModule(
    name="callpark",
    parks=_app("callpark_park", "auto bench"),
    takes=_set("hangup_after_bridge", "true") + _app("callpark_retrieve", "$1 bench"),
    times_out=_set("callpark_timeout", "$1") + _set("callpark_ringback", "none") + _set("callpark_fallback", "nobody XML default"),
    listing="callpark list bench", event="callpark::info", action="CallPark-Action", parked="park", due="fallback", slot="CallPark-Slot",
)
# The announcement of the slot is turned off, because the module plays it to the caller and sends its event only afterwards.
VALET = ParkingModule(
    name="valet",
    parks=_app("answer") + _set("valet_announce_slot", "false") + _app("valet_park", f"bench auto in {FIRST} {LAST}"),
    takes=_app("answer") + _set("hangup_after_bridge", "true") + _app("valet_park", "bench $1"),
    times_out=_set("valet_parking_timeout", "$1") + _set("valet_parking_orbit_exten", "nobody")
    + _set("valet_parking_orbit_dialplan", "XML") + _set("valet_parking_orbit_context", "default"),
    listing="valet_info bench", event="valet_parking::info", action="Action", parked="hold", due="exit", slot="Valet-Extension",
)
MODULES = [CALLPARK, VALET]
# How often a call asks the dialplan `callpark` before the XML dialplan. FreeSWITCH takes the first 25 dialplans of a list.
QUESTIONS = 24


def _asks(questions):
    dialplans = ",".join(["callpark"] * questions + ["XML"])
    return _extension(f"asks-{questions}", _app("transfer", f"nobody {dialplans} default"))


# The extension of the desk that transfers calls, and the destination of calls whose timeout is over.
COMMON = (
    _extension(r"desk-(\d+)", _set("hangup_after_bridge", "true") + _app("bridge", "sofia/external/desk@127.0.0.1:$1"))
    + _extension("nobody", _app("hangup"))
    + _asks(0) + _asks(QUESTIONS)
)
