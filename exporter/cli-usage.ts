// What --help prints.
import { passwordVariable, tokenVariable, userVariable } from './doctor/prometheus-config.ts';

/** Stands for --config.file. */
export const configVariable = 'PIPEMEDIC_CONFIG_FILE';

export const usage = `Usage: pipemedic-exporter COMMAND [OPTIONS]

Commands:
  serve      measure the targets of the inventory and serve /metrics
  check      validate the inventory and show what it says
  doctor     look at each target once: what it is, what is wrong, what mends it, and why a series is absent
  verify-backup FILE|NAME
             read one backup to its end, or the newest one of a target, and show every step of evidence
  adopt FILES…
             read rules, dashboards and scrape configurations made for other exporters (files, folders, patterns), and say
             of each expression whether it is served here; what takes the place of which exporter, in which order
  catalogue  print every metric family as JSON; those named by the target have a prefix instead of a name

Options:
  --config.file=FILE               the inventory, pipemedic.yml (serve, check, doctor; adopt; verify-backup NAME)
  --json                           for programs instead of for eyes (doctor, adopt, verify-backup)
  --verbose                        show what is well too, and which series are absent (doctor, adopt)
  --target=NAME                    tell of this target only; may be given more than once (doctor)
  --prometheus.url=URL             look at the Prometheus that scrapes this inventory too: jobs, labels, rules (doctor)
  --prometheus.config.file=FILE    basic_auth, authorization and tls_config, as promtool's --http.config.file (doctor)
  --web.listen-address=HOST:PORT   where to serve, or unix:/PATH; may be given more than once (default 127.0.0.1:9930)
  --web.config.file=FILE           TLS, client certificates and users, as exporter-toolkit reads them
  --timeout-offset=SECONDS         kept back from Prometheus' scrape timeout (default 0.25)
  --max-sweeps=NUMBER              targets that are looked at at the same time (default 64)
  --backoff=SECONDS                a target that is down is left alone for at most this long; 0 never (default 30)
  --log.level=LEVEL                trace, debug, info, warn or error (default info)
  --version                        print the version
  --help                           print this text

Environment: ${configVariable} stands for --config.file (serve, check, doctor).
${userVariable} with ${passwordVariable}, or ${tokenVariable}, log in to Prometheus
(doctor) where no file says how.
Signals: SIGHUP reads the inventory again, SIGTERM and SIGINT stop.
Exit status: 0 done, 1 failed, (doctor) something is wrong, (adopt) something is not served or
(verify-backup) not shown to be complete, 2 wrong usage or inventory, or (adopt) a file that cannot be read.
`;
