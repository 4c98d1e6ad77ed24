"""Redis' users and their rights, as the ACL file that the server reads at its start.

Passwords stand in it as SHA-256 digests. Nobody may run what changes the server or reaches other
users' data: even the operator can do no more than look and make a backup.
"""

# Nobody can log in as `default`: it is off and has no password. Its rights are those with which
# Redis replays its append-only file at a start; without them it would skip every transaction and
# script in there, with no more than a line in its log, and lose their data (seen with 8.0.6).
DEFAULT = "off resetpass ~* &* +@all"
# The service: everything on its own keys, nothing on the server. Lua scripts run with the same
# rights. `@dangerous` takes FLUSHALL, KEYS, CONFIG, DEBUG, MIGRATE, SORT … away; INFO comes back.
APP = (
    "~ds:* resetchannels -@all +@read +@write +@connection +@transaction +@scripting"
    " -@admin -@dangerous -function -script +script|load +script|exists +info"
)
# redis_exporter: counts and sizes, no key's name or content.
EXPORTER = (
    "resetkeys resetchannels -@all +ping +info +dbsize +client|setname +client|setinfo"
    " +slowlog|len +slowlog|get +latency|latest +latency|histogram +config|get"
)
# People and the health check: look, and make a backup.
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
