#!/bin/sh
# A health check that also applies changed configuration: check.sh SIGNAL FILE COMMAND...
#
# FILE contains a checksum. When it has changed since the check before, PID 1 gets SIGNAL: HUP makes it load
# its files again; TERM ends the container, and the engine starts it again with the new ones. Only builtins
# run before COMMAND takes this process, so that a check that is killed leaves no other behind.
read -r now <"$2" || :
before=$now
[ ! -e /tmp/configuration ] || read -r before </tmp/configuration
echo "$now" >/tmp/configuration
[ "$now" = "$before" ] || kill "-$1" 1
shift 2
exec "$@"
