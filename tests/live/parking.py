"""Builds lots and extensions for tests, and brings calls into the state in which many tests begin."""

from conftest import MUSIC
from switch import wait_for


def lot(*params, slots="701-703"):
    """The XML of a template lot `main` with short timers; `params` are pairs of a lot parameter and its value."""
    values = {"slots": slots, "hold-music": f"tone_stream://%(1000,0,{MUSIC});loops=-1", "park-timeout": "2",
              "ringback-timeout": "3", **dict(params)}
    inside = "".join(f'<param name="{name}" value="{value}"/>' for name, value in values.items())
    return f'<lot name="main" domain="*">{inside}</lot>'


def with_lot(switch, *params, **more):
    """Reloads the configuration with the one lot that `lot` makes of these arguments."""
    assert switch.reload(lot(*params, **more)).startswith("+OK")


def extension(name, *actions):
    """The XML of an extension of the dialplan; `name` is its number, a regular expression, and `actions` are pairs of an application and its data."""
    inside = "".join(f'<action application="{application}" data="{data}"/>' for application, data in actions)
    return f'<extension name="{name}"><condition field="destination_number" expression="^{name}$">{inside}</condition></extension>'


def conversation(phones, number="1001", says=700, agent=""):
    """Lets a caller dial `number`, which the phone of user 1001 answers. Returns the caller's call and the phone's."""
    phone = phones("1001", says=says, agent=agent)
    phone.on_ring = 0.1
    caller = phones(says=600, name="Alice").call(number)
    call = phone.wait_call()
    assert call.answered.wait(5) and caller.audio.hears(says)
    return caller, call


def call_on_hold(phones, number="1002", says=600):
    """User 1001 calls a user and holds the call. Returns the phone of 1001, its call, and the phone of the user, who has answered."""
    other = phones(number, says=says)
    other.on_ring = 0.1
    parker = phones("1001", says=700)
    call = parker.call(number)
    assert call.audio.hears(says)
    call.hold()
    return parker, call, other


def park_by_transfer(phones, switch, to="700", caller_says=600, name="Alice"):
    """Lets an outside caller call 1001, who answers and transfers the call to `to`. Returns the caller's call and its row in the list of
    parked calls."""
    receptionist = phones("1001", name="Reception")
    receptionist.on_ring = 0.1
    caller = phones(says=caller_says, name=name).call("1001")
    call = receptionist.wait_call()
    assert call.answered.wait(5)
    call.refer(to)
    rows = wait_for(switch.calls)
    assert rows, f"the transfer to {to} has parked nobody"
    call.hang_up()
    return caller, rows[0]
