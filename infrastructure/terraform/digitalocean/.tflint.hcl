# It knows neither GitHub's identities nor ephemeral secrets, but takes the same variables as the others.
rule "terraform_unused_declarations" {
  enabled = false
}
