"""Redis' users and their rights, as the ACL file that the server reads at its start.

It has passwords as SHA-256 digests. No user may change the server; the operator can read its
state and make a backup.
"""

# `default` is off and has no password: nobody can log in. Redis replays its append-only file with
# its rights at a start: without them it skips every transaction and script, and loses their data
# (seen with 8.0.6).
DEFAULT = "off resetpass ~* &* +@all"
# The service: everything on its own keys, nothing on the server. Lua scripts run with the same
# rights. `@dangerous` is FLUSHALL, KEYS, CONFIG, DEBUG, MIGRATE, SORT …; INFO is allowed again.
APP = (
    "~ds:* resetchannels -@all +@read +@write +@connection +@transaction +@scripting"
    " -@admin -@dangerous -function -script +script|load +script|exists +info"
)
# redis_exporter: counts and sizes, no key's name or content.
EXPORTER = (
    "resetkeys resetchannels -@all +ping +info +dbsize +client|setname +client|setinfo"
    " +slowlog|len +slowlog|get +latency|latest +latency|histogram +config|get"
)
# People and the health check: read the state, make a backup.
OPERATOR = (
    "resetkeys resetchannels -@all +ping +info +dbsize +bgsave +bgrewriteaof +lastsave +waitaof"
    " +slowlog|get +slowlog|len +latency|latest +latency|doctor +memory|stats +memory|doctor"
    " +client|list +acl|whoami +acl|list +acl|log +config|get"
)


def users(*, app: str, exporter: str, operator: str) -> str:
    """The ACL file.

    Args:
        app, exporter, operator: SHA-256 of each user's password, in hex.
    """
    return (
        f"user default {DEFAULT}\n"
        f"user app on #{app} {APP}\n"
        f"user exporter on #{exporter} {EXPORTER}\n"
        f"user operator on #{operator} {OPERATOR}\n"
    )
