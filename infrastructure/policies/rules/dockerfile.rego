# Dockerfiles as conftest's parser reads them: a list of instructions for each stage.
package dockerfile

import data.kubernetes.fixed
import data.kubernetes.names_a_secret

instructions := [one | is_array(input); some stage in input; some one in list(stage)]

list(stage) := stage if is_array(stage)

list(stage) := [stage] if is_object(stage)

is_dockerfile if instructions[0].Cmd

stages := {lower(one.Value[2]) | some one in instructions; one.Cmd == "from"; count(one.Value) == 3}

found contains {"rule": rule, "what": what} if {
	is_dockerfile
	some [rule, what] in broken
}

broken contains ["images", sprintf("FROM %s", [one.Value[0]])] if {
	some one in instructions
	one.Cmd == "from"
	not lower(one.Value[0]) in stages
	not fixed(one.Value[0])
	not regex.match(`^(\$|scratch$)`, one.Value[0])
}

# What another stage sets is lost, or seen only by who reads all of them.
broken contains ["non-root", "the last stage's USER"] if {
	last := max([number | instructions[number].Cmd == "from"])
	users := [one.Value[0] | some number, one in instructions; number > last; one.Cmd == "user"]
	regex.match(`^(root|0)(:|$)`, array.concat(["root"], users)[count(users)])
}

broken contains ["downloads", sprintf("ADD %s", [one.Value[0]])] if {
	some one in instructions
	one.Cmd == "add"
	regex.match(`^https?:`, one.Value[0])
	not regex.match(`--checksum=sha256:`, concat(" ", one.Flags))
}

broken contains ["downloads", sprintf("%s", [substring(text, 0, 60)])] if {
	some one in instructions
	one.Cmd == "run"
	text := concat(" ", one.Value)
	regex.match(`(curl|wget)[^|;&]*\|\s*(sudo )?(ba|da|z)?sh|--insecure|curl [^;&|]*-k |--no-check-certificate|--trusted-host`, text)
}

broken contains ["privilege", sprintf("%s", [substring(text, 0, 60)])] if {
	some one in instructions
	one.Cmd == "run"
	text := concat(" ", one.Value)
	regex.match(`\bsudo\b|chmod (-R )?[0-7]?777|chmod [ug]\+s`, text)
}

# The parser reads ENV as name, value and "=", again and again; ARG as name=value.
broken contains ["secrets", sprintf("%s %s", [upper(one.Cmd), name])] if {
	some one in instructions
	some number, text in one.Value
	number % {"env": 3, "arg": 1}[one.Cmd] == 0
	name := split(text, "=")[0]
	names_a_secret(name)
}

broken contains ["exposure", sprintf("EXPOSE %s", [port])] if {
	some one in instructions
	one.Cmd == "expose"
	some port in one.Value
	regex.match(`^(22|23|3389|2375)(/|$)`, port)
}
