"""What can go wrong, as closed lists. Each code is the metric's label, the column, the log field and a row of
the table in `README.md` beside this file; a test compares them. The sentence after each code is what people read.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class _Described(StrEnum):
    """A code that carries the one sentence that explains it."""

    sentence: str

    def __new__(cls, code: str, sentence: str = "") -> _Described:
        member = str.__new__(cls, code)
        member._value_ = code
        member.sentence = sentence
        return member


class RejectCode(_Described):
    """Why a message or one record of it became a dead letter: it will never be accepted as it is."""

    FOREIGN_TOPIC = "foreign_topic", "the topic is not one of the wire contract"
    TOO_LONG = "too_long", "the payload is longer than the bridge accepts"
    NOT_JSON = "not_json", "the payload is not JSON text"
    NOT_SENML = "not_senml", "the payload is not a SenML pack"
    WRONG_TYPE = "wrong_type", "a field has another type than SenML gives it"
    NOT_FINITE = "not_finite", "a number is NaN or infinite"
    LONE_SURROGATE = "lone_surrogate", "a text holds half of a UTF-16 pair and cannot be stored"
    INTEGER_RANGE = "integer_range", "an integer is 2^63 or larger"
    BAD_SEQUENCE = "bad_sequence", "log or seq is missing or malformed, so the sample has no identity"
    UNKNOWN_DEVICE = "unknown_device", "no station is assigned to this device"
    UNKNOWN_STATION = "unknown_station", "the station is not in stations.yaml"
    FOREIGN_STATION = "foreign_station", "the station is assigned to another device"
    UNKNOWN_CHANNEL = "unknown_channel", "the station has no such channel"
    WRONG_UNIT = "wrong_unit", "the unit cannot be converted to the channel's"
    TIME_FUTURE = "time_future", "the time lies in the future"
    UNDATED = "undated", "the device's clock was never set and the sample cannot be dated"
    TIME_TAKEN = "time_taken", "two other samples already stand at this millisecond"
    BAD_UPLINK = "bad_uplink", "the message of a device of others does not have the form of its codec"
    BAD_STATEMENT = "bad_statement", "the spool statement or birth cannot be read"
    UNSTORABLE = "unstorable", "the database refuses this message alone"
    UNWRITABLE = "unwritable", "InfluxDB refuses this point alone"


class FaultCode(_Described):
    """The sensor or its bus said that it is broken: travels as `<channel>.fault`, stored with flag 9, no value."""

    NO_ANSWER = "no_answer", "the sensor did not answer in time"
    BUS_ERROR = "bus_error", "the bus could not be reached"
    REFUSED = "refused", "the sensor answered with an exception"
    NO_ECHO = "no_echo", "the sensor saw no echo"
    SENSOR_ERROR = "sensor_error", "the sensor reports an error of its own"
    MALFORMED = "malformed", "the answer does not have the profile's form"
    ABOVE_SPAN = "above_span", "the level is above what the sensor can measure"
    BELOW_SPAN = "below_span", "the level is below what the sensor can measure"
    WARMING_UP = "warming_up", "the sensor is not ready yet"
    COUNT_LOST = "count_lost", "its count begins again: what came since the reading before may be missing"


class GoneReason(_Described):
    """Why a sequence number will never arrive."""

    LOST_AT_KILL = "lost_at_kill", "read, but the device stopped before the next commit"
    NO_SPACE = "no_space", "thinned on the device because its spool was full"
    LOG_LIMIT = "log_limit", "the card already held its limit of logs"
    DAMAGED = "damaged", "the spool file was damaged"
    SET_ASIDE = "set_aside", "sent alone three times and passed over by the bridge's receipts"
    PUBACK = "puback", "deleted on the broker's word alone (delivery: puback), and the bridge never had it"


class NoticeCode(_Described):
    """A condition of the house itself that staff are told of: when it begins and when it ends."""

    SPOOL_DAMAGED = "spool_damaged", "a damaged spool file was set aside and a new one begun"
    SPOOL_HALF = "spool_half", "half of the spool is filled with samples that have no receipt"
    SPOOL_NEARLY_FULL = "spool_nearly_full", "four fifths of the spool are filled with samples that have no receipt"
    SPOOL_THINNED = "spool_thinned", "the spool is full: samples were given up and declared gone"
    CARD_REFUSES = "card_refuses", "the device's card cannot be written; samples wait in memory"
    DEVICE_CLOCK = "device_clock", "the device's clock is not set, or so far ahead that its samples are refused"
    CONTRACT_DIFFERS = "contract_differs", "the device reports by another contract than stations.yaml states"
    BRIDGE_CLOCK = "bridge_clock", "the bridge's clock is not believed; times in the future are not judged"
    NO_BROKER = "no_broker", "the broker cannot be reached; no station's data arrive"
    NO_DATA = "no_data", "connected to the broker, but nothing arrives from any device"
    STORE_NEARLY_FULL = "store_nearly_full", "the store has reached 80 % of its ceiling; backlog is paused"
    STORE_FULL = "store_full", "the store has reached 95 % of its ceiling; readings are thinned"
    DISK_FULL = "disk_full", "the bridge's disk is full; the reserve was freed for alerts"
    LONG_LOST = "long_lost", "a station has given nothing usable for a day; told in working hours"
    RAIN_UNVERIFIED = "rain_unverified", "the verification of a rain gauge ends within 60 days, or has ended"
    TIDE_TABLE_ENDS = "tide_table_ends", "a table of the astronomical tide ends within 30 days, or has ended"
    INFLUX_WAITS = "influx_waits", "InfluxDB does not take points; they wait in the store"
    ORION_WAITS = "orion_waits", "the context broker does not take the latest values; the present ones go when it does"
    BULLETINS_UNHEARD = "bulletins_unheard", "the feed of bulletins cannot be read; there may be newer ones"
    QUOTA_LOW = "quota_low", "four fifths of a medium's quota are spent"
    QUOTA_SPENT = "quota_spent", "a medium's quota is spent; only ranks 4 and 5 are sent by it"
    CAP_WAITS = "cap_waits", "the folder of the CAP feed cannot be written; documents wait in the store"
    PAPER_WAITS = "paper_waits", "the folder of the sheet on paper cannot be written"


class MediumReason(_Described):
    """Why a medium did not take a notification, now or ever."""

    UNREACHABLE = "unreachable", "the medium's server cannot be reached"
    TIMED_OUT = "timed_out", "the medium's server did not answer in time"
    BUSY = "busy", "the medium's server asks to try again later"
    FAILED = "failed", "the medium's server failed"
    AUTHENTICATION = "authentication", "the medium's server does not accept the name, password or token"
    REFUSED_ADDRESS = "refused_address", "there is no such address"
    REFUSED_CONTENT = "refused_content", "the medium's server does not take this message"
    UNSENDABLE = "unsendable", "the address or token as configured cannot be sent"
    OVER_QUOTA = "over_quota", "the quota of this medium is spent; ranks 4 and 5 are sent all the same"


class CommandCode(_Described):
    """Why a device did not do what it was told from afar."""

    RETAINED = "retained", "a command is never retained; this one stood on the broker"
    MALFORMED = "malformed", "the command cannot be read"
    UNKNOWN_COMMAND = "unknown_command", "the device's agent does not know this command"
    NOT_ALLOWED = "not_allowed", "the device's edge.yaml does not allow this command"
    EXPIRED = "expired", "its time is over, or lies too far ahead"
    CLOCK_NOT_SET = "clock_not_set", "the device's clock is not set, so it cannot tell whether the command is old"
    UNKNOWN_SENSOR = "unknown_sensor", "the device has no such sensor"
    OUT_OF_LIMITS = "out_of_limits", "the interval or time lies outside the limits of the device's edge.yaml"
    BAD_CONFIGURATION = "bad_configuration", "the configuration has mistakes, or is that of another device"
    BUSY = "busy", "the device is still at an earlier command of this kind"
    NOT_NOTED = "not_noted", "the card cannot be written, so the command could be done twice"
    ROLLED_BACK = "rolled_back", "the configuration did not come into force; the device runs by the last good one"


class ActCode(_Described):
    """Why the bridge, or the interface before it, did not do what a person or a command asked of it."""

    UNKNOWN_ACT = "unknown_act", "the bridge does not know this kind of request: it is of another version"
    UNREADABLE = "unreadable", "a value of the request cannot be read"
    NOT_WRITTEN = "not_written", "the database refuses what this would write"
    FORGOTTEN = "forgotten", "the request is no longer in the store"
    SEVERAL_TENANTS = "several_tenants", "several tenants have one of this name"
    NO_STATION = "no_station", "the stations.yaml by which the bridge runs has no such station"
    NO_EPISODE = "no_episode", "no episode of this name is open"
    EPISODE_CLOSED = "episode_closed", "the episode is closed, so there is nothing to acknowledge"
    GRAVE = "grave", "an episode above rank 2 is acknowledged by itself, never among others"
    DRILL_NOT_JUDGED = "drill_not_judged", "a drill is ended, not judged"
    LOSS_NOT_JUDGED = "loss_not_judged", "missing data are not judged"
    NO_BASIS = "no_basis", "a judgement says what it rests on"
    NOTHING_CLAIMED = "nothing_claimed", "the episode is closed, and its station claims nothing and was not rejected"
    NOT_REJECTED = "not_rejected", "the episode was closed otherwise, and a closed episode is not judged any more"
    NO_LEVEL = "no_level", "the episode claims no level that could be false; it is closed"
    CAUSE_OPEN = "cause_open", "a common cause ends when its stations are heard again"
    STILL_HIGH = "still_high", "data show rank 3 or more, or claim it: it is closed only with a reason"
    STILL_WET = "still_wet", "a contact reads wet: it is closed when it reads dry, or with a reason"
    STANDS_HIGH = "stands_high", "the station stands at rank 2 or more, which maintenance would hide"
    BAD_SPAN = "bad_span", "the length is nothing, or above the longest"
    BAD_RANK = "bad_rank", "a drill is of rank 2 to 5; below nobody is called"
    NO_RECIPIENT = "no_recipient", "there is no such recipient"
    NOBODY_TOLD = "nobody_told", "no recipients are configured"
    FUTURE_ENTRY = "future_entry", "an entry says what has happened, and this time lies in the future"
    OTHER_STATION = "other_station", "the episode is of another station"
    NO_ROW = "no_row", "the journal has no such row"
    NO_TEXT = "no_text", "an entry without a text says nothing"
    LONG_TEXT = "long_text", "the text is longer than an entry may be"
    CONTROL_CHARACTERS = "control_characters", "the text holds control characters"
    NO_CAP = "no_cap", "no CAP feed is configured, so nothing can be released to it"
    NOT_NAMED = "not_named", "a released message names the person who releases it"
    NO_ORDER = "no_order", "the row of the journal records no order of the mayor"
    ONLY_DRILL = "only_drill", "only a drill is open there; an exercise is released by its own name"
    OF_NO_STATION = "of_no_station", "the episode is of no station"
    ORDER_ELSEWHERE = "order_elsewhere", "the order is about another station"
    NOTHING_RELEASED = "nothing_released", "nothing was released for this episode that could end"
    OTHER_STATIONS = "other_stations", "the bridge runs by another stations.yaml than whoever asks has read"
    NOT_RUNNING = "not_running", "only a running bridge can do this"
    NO_DEVICE = "no_device", "no station of stations.yaml has this device"
    NO_INFLUX = "no_influx", "bridge.yaml names no InfluxDB"
    NOTHING_TO_SEND = "nothing_to_send", "InfluxDB has been given nothing that arrived since then"


class LoginReason(_Described):
    """Why somebody was not let in, as the audit says it; the person is told less."""

    WRONG_PASSWORD = "wrong_password", "the password is not that of the account"
    UNKNOWN_NAME = "unknown_name", "there is no account of that name; what was typed is not kept"
    DISABLED = "disabled", "the account is disabled"
    PROVIDER_UNREACHABLE = "provider_unreachable", "the provider of the city's names does not answer as it should"
    PROVIDER_REFUSED = "provider_refused", "the provider did not let the person in, or did not take the code"
    FOREIGN_RETURN = "foreign_return", "the return belongs to no sign-in that this browser began, or came twice"
    BAD_SIGNATURE = "bad_signature", "the provider's statement is not signed by it, or by an algorithm not allowed"
    BAD_CLAIMS = "bad_claims", "the provider's statement is not for us, not for this sign-in, or not of now"
    NO_ROLE = "no_role", "none of the person's groups has a role in web.yaml"
    NO_TENANT = "no_tenant", "none of the person's groups has a tenant in web.yaml"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in the configuration: where it is and what would be right. Lines and columns count from 1."""

    file: str
    line: int
    col: int
    path: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.col}"
        return f"{place} {self.path}: {self.message}" if self.path else f"{place} {self.message}"


class ConfigError(Exception):
    """The configuration cannot be used; carries every problem, not the first."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(problems)
        files = len({p.file for p in problems})
        count = f"{len(problems)} problem{'s' * (len(problems) != 1)} in {files} file{'s' * (files != 1)}"
        super().__init__("\n".join([*map(str, self.problems), f"{count}. Nothing was started."]))


class Unavailable(Exception):
    """Something outside (broker, database, bus) does not answer now; trying again may help."""
