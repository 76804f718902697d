#!/usr/bin/env bash
# Gets the real servers that the lab needs on Debian 12: packages by apt (as root or by sudo), Kafka and Maxwell by Maven
# into a cache outside the work tree. Safe to run again: what is there is left alone, and then nothing is printed.
#
#   PIPEMEDIC_CACHE            where Kafka and Maxwell go (default: $XDG_CACHE_HOME/pipemedic or ~/.cache/pipemedic)
#   PIPEMEDIC_MAXWELL_HOME     a folder with maxwell-VERSION.jar and its pom.xml, instead of the one beside the work tree
#   PIPEMEDIC_UNSTABLE         no: without the newer servers of setup-unstable.sh
#   PIPEMEDIC_ENGINE           no: without a container engine (podman)
#   PIPEMEDIC_MAXWELL_VERSION  1.22.6 takes the newest Maxwell of the public Maven repository even where a newer one is at hand
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=$(cd "$here/../.." && pwd)
cache=${PIPEMEDIC_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pipemedic}
export PATH="$PATH:/usr/sbin:/sbin"

kafka_version=4.1.1
maxwell_old=1.22.6

say() { printf '==> %s\n' "$*"; }
die() { printf 'setup.sh: %s\n' "$*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

# What a command says is shown only when it fails.
quietly() {
  local log status=0
  log=$(mktemp)
  "$@" >"$log" 2>&1 || status=$?
  if [ "$status" -ne 0 ]; then tail -n 40 "$log" >&2; fi
  rm -f "$log"
  return "$status"
}

# ---- Debian packages ------------------------------------------------------------------------------------------------

# binary:package; a package is asked for only when its binary is missing
tools='mariadbd:mariadb-server mariadb-install-db:mariadb-server mariadb-backup:mariadb-backup mariadb-dump:mariadb-client
mydumper:mydumper redis-server:redis-server prometheus:prometheus promtool:prometheus prometheus-alertmanager:prometheus-alertmanager
amtool:prometheus-alertmanager prometheus-mysqld-exporter:prometheus-mysqld-exporter
prometheus-redis-exporter:prometheus-redis-exporter java:default-jre-headless
javac:default-jdk-headless mvn:maven strace:strace ps:procps flock:util-linux
faketime:faketime prometheus-node-exporter:prometheus-node-exporter
prometheus-process-exporter:prometheus-process-exporter'

policy=/usr/sbin/policy-rc.d
policy_is_ours=''

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

end_policy() {
  if [ -n "$policy_is_ours" ]; then as_root rm -f "$policy"; policy_is_ours=''; fi
}
trap end_policy EXIT

# Installed servers must not start on their default ports. A policy that is already there is somebody's decision: it stays.
begin_policy() {
  if [ -e "$policy" ]; then return; fi
  printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
  policy_is_ours=1
  as_root chmod 755 "$policy"
}

install_packages() {
  local missing='' tool package
  for tool in $tools; do
    package=${tool#*:}
    if has "${tool%%:*}"; then continue; fi
    case " $missing " in *" $package "*) ;; *) missing="$missing $package" ;; esac
  done
  if [ -z "$missing" ]; then return; fi
  has apt-get || die "these are missing and there is no apt-get:$missing"
  if [ "$(id -u)" -ne 0 ] && ! has sudo; then die "root or sudo is needed to install:$missing"; fi
  say "installing Debian packages:$missing"
  begin_policy
  local quiet=(-qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300)
  quietly as_root apt-get "${quiet[@]}" update || die 'apt-get update failed'
  # shellcheck disable=SC2086 # $missing is a list of words
  quietly as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get "${quiet[@]}" install -y --no-install-recommends $missing || die "apt-get could not install:$missing"
  if [ -n "$policy_is_ours" ] && [ -d /run/systemd/system ]; then
    # nor at the next boot: the lab starts its own
    for package in $missing; do
      case $package in
        mariadb-server) as_root systemctl --quiet disable mariadb ;;
        redis-server | prometheus | prometheus-alertmanager | prometheus-*-exporter)
          as_root systemctl --quiet disable "$package" ;;
      esac
    done
  fi
  end_policy
  hash -r
  for tool in $tools; do has "${tool%%:*}" || die "${tool#*:} is installed but ${tool%%:*} is not on PATH"; done
}

# One test wants a container engine, and says so where there is none: that is not worth failing for.
install_engine() {
  local missing='' tool mark=$cache/engine.failed
  if [ "${PIPEMEDIC_ENGINE:-}" = no ]; then return; fi
  for tool in podman:podman runc:runc busybox:busybox-static; do
    has "${tool%%:*}" || missing="$missing ${tool#*:}"
  done
  if [ -z "$missing" ] || [ -n "$(find "$mark" -mmin -60 2>/dev/null)" ]; then return; fi
  say "installing Debian packages:$missing"
  begin_policy
  local quiet=(-qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300)
  # shellcheck disable=SC2086 # $missing is a list of words
  if ! quietly as_root apt-get "${quiet[@]}" update || ! quietly as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get "${quiet[@]}" install -y --no-install-recommends $missing; then
    mkdir -p "$cache"
    : >"$mark"
    say 'no container engine: what needs one is skipped'
  fi
  end_policy
  hash -r
}

# ---- Kafka and Maxwell ----------------------------------------------------------------------------------------------

# into NAME FUNCTION HOW: FUNCTION fills a temporary folder; it gets its name only when complete, so an aborted one is made again
into() {
  local name=$1 make=$2 temporary
  if [ -e "$cache/$name/.complete" ]; then return; fi
  mkdir -p "$cache"
  exec 9>"$cache/.lock"
  flock 9
  if [ -e "$cache/$name/.complete" ]; then exec 9>&-; return; fi
  say "getting $name ${3:-by Maven} into $cache"
  rm -rf "$cache/$name" "$cache/.$name."*
  temporary=$(mktemp -d "$cache/.$name.XXXXXX")
  chmod 755 "$temporary"
  "$make" "$temporary"
  rm -rf "$temporary/pom.xml" "$temporary/target"
  : >"$temporary/.complete"
  mv "$temporary" "$cache/$name"
  exec 9>&-
}

copy_dependencies() { # FOLDER, which has a pom.xml; $name is of into()
  quietly mvn -B -f "$1/pom.xml" dependency:copy-dependencies -DoutputDirectory="$1/lib" -DincludeScope=runtime ||
    die "Maven could not get $name (see above)"
}

write_pom() { # FOLDER GROUP:ARTIFACT:VERSION...
  local folder=$1 coordinate group artifact version
  shift
  {
    printf '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
    printf '<groupId>lab</groupId><artifactId>lab</artifactId><version>1</version><packaging>pom</packaging><dependencies>\n'
    for coordinate in "$@"; do
      IFS=: read -r group artifact version <<<"$coordinate"
      printf '<dependency><groupId>%s</groupId><artifactId>%s</artifactId><version>%s</version></dependency>\n' \
        "$group" "$artifact" "$version"
    done
    printf '</dependencies></project>\n'
  } >"$folder/pom.xml"
}

make_kafka() {
  write_pom "$1" "org.apache.kafka:kafka_2.13:$kafka_version" "org.apache.kafka:kafka-tools:$kafka_version" \
    org.apache.logging.log4j:log4j-slf4j-impl:2.24.3 # without it the broker logs nothing
  copy_dependencies "$1"
}

make_maxwell_from_fixture() {
  cp "$fixture/pom.xml" "$1/pom.xml"
  copy_dependencies "$1"
  cp "$jar" "$1/lib/"
}

# Seen on Java 17, MariaDB 10.11 and Kafka 4.1: 1.22.6 needs a current kafka-clients, and a class of Nashorn, which left
# the JDK in Java 15 (the third change, MariaDB's old_mode='', is the lab's)
make_maxwell_from_maven() {
  write_pom "$1" "com.zendesk:maxwell:$maxwell_old" "org.apache.kafka:kafka-clients:$kafka_version"
  copy_dependencies "$1"
  mkdir -p "$1/shim/jdk/nashorn/api/scripting"
  printf 'package jdk.nashorn.api.scripting;\npublic class ScriptObjectMirror {}\n' \
    >"$1/shim/jdk/nashorn/api/scripting/ScriptObjectMirror.java"
  javac -d "$1/shim" "$1/shim/jdk/nashorn/api/scripting/ScriptObjectMirror.java"
  rm "$1/shim/jdk/nashorn/api/scripting/ScriptObjectMirror.java"
}

# Agents that tell about a JVM: both spellings of client_java, and Jolokia. The tests put them into JVMs of their own.
jvm_agents='io.prometheus.jmx:jmx_prometheus_javaagent:1.0.1 io.prometheus.jmx:jmx_prometheus_javaagent:0.20.0
org.jolokia:jolokia-agent-jvm:2.6.0:jar:javaagent'

make_jvm_agents() {
  local artifact
  for artifact in $jvm_agents; do
    quietly mvn -B dependency:copy "-Dartifact=$artifact" "-DoutputDirectory=$1/lib" ||
      die "Maven could not get $artifact (see above)"
  done
}

find_fixture() {
  local home=${PIPEMEDIC_MAXWELL_HOME:-$repo/../shared/fixtures/maxwell-1.44.1} candidate
  for candidate in "$home"/maxwell-*.jar; do
    if [ -f "$candidate" ] && [ -f "$home/pom.xml" ]; then fixture=$home jar=$candidate; return; fi
  done
  if [ -n "${PIPEMEDIC_MAXWELL_HOME:-}" ]; then die "no maxwell-*.jar with a pom.xml in $home"; fi
}

install_packages
install_engine
into "kafka_2.13-$kafka_version" make_kafka
into jvm-agents make_jvm_agents

fixture='' jar=''
if [ "${PIPEMEDIC_MAXWELL_VERSION:-}" != "$maxwell_old" ]; then find_fixture; fi
if [ -n "$fixture" ]; then
  name=$(basename "$jar" .jar)
  into "$name" make_maxwell_from_fixture
else
  name=maxwell-$maxwell_old
  into "$name" make_maxwell_from_maven
fi
# the lab reads here which Maxwell to start
if [ "$(cat "$cache/maxwell" 2>/dev/null || true)" != "$name" ]; then
  printf '%s\n' "$name" >"$cache/.maxwell.$$"
  mv "$cache/.maxwell.$$" "$cache/maxwell"
  say "the lab uses $name"
fi

# shellcheck source=setup-unstable.sh
. "$here/setup-unstable.sh"
get_unstable
