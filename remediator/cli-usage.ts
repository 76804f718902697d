/** What --help prints. */
export const usage = `Usage: pipemedic-remediator COMMAND [OPTIONS]

Commands:
  serve                    take notifications and repair what the policies allow
  check                    validate the inventory and the policies and what they name
  doctor                   look at every target of every policy now: which guards cannot tell, which rights are missing
  runs                     list the newest runs
  why RUN|EPISODE|ALERT|APPROVAL
                           what happened, what was decided, and why
  approvals                what waits for a person
  approve APPROVAL|EPISODE [--comment=TEXT]
                           a yes to one run, on exactly the facts, parameters and policy that it was asked on
  reject APPROVAL|EPISODE [--comment=TEXT]
                           a no, until the facts or the policy change
  pause --reason=TEXT [--scope=SCOPE] [--until=TIME]
                           nothing begins from now on, what runs ends at its next safe point; of everything it
                           works also while the server is down
  resume [--scope=SCOPE]   ends the pause
  maintenance add --scope=SCOPE --until=TIME --reason=TEXT [--from=TIME]
  maintenance list | end ID
                           people work there: nothing begins, what runs ends at its next safe point
  latches                  targets that are left to people
  latch clear ID --comment=TEXT
                           let a target be repaired again that was left to people
  policy list [--target=NAME]
                           how the policies have done so far
  policy promote NAME [--target=NAME]
                           what speaks for the next mode, and which line of policies.yml to change
  policy drilled RUN --comment=TEXT
                           record a run that was a drill; one within 90 days is wanted before a policy acts by itself
  policy promote NAME --target=NAME --lift --comment=TEXT
                           trust a policy again that was demoted there
  audit                    who changed what

SCOPE is global, target:NAME or pipeline:NAME. TIME is from now, such as 2h, or like 2026-01-31T22:00Z.

Options:
  --config.file=FILE               the inventory, pipemedic.yml; every command needs it
  --policies.file=FILE             the policies, policies.yml; serve, check, doctor and policy need it
  --web.listen-address=HOST:PORT   where to serve, or unix:/PATH; may be given more than once (default 127.0.0.1:9931)
  --web.config.file=FILE           TLS and logins of the server
  --log.level=LEVEL                trace, debug, info, warn or error (default info)
  --server=URL                     the running remediator, for what changes something (default http://127.0.0.1:9931)
  --token.file=FILE                your own token for it (default: the first of the configuration that you can read)
  --limit=N                        how many runs, approvals or entries (default 20)
  --json                           print JSON
  --version                        print the version
  --help                           print this text

Environment: PIPEMEDIC_CONFIG_FILE and PIPEMEDIC_POLICIES_FILE stand for --config.file and --policies.file.
Signals of serve: SIGHUP reads the policies again, SIGUSR2 pauses, SIGTERM and SIGINT stop at the next safe point.
Exit status: 0 done, 1 failed, 2 wrong usage or configuration.
`;
