# shellcheck shell=bash
# Sourced by setup.sh. Newer servers than the machine's own release has, from Debian unstable: MySQL, MariaDB, Redis and
# Valkey, as $cache/debian-unstable/NAME/bin/PROGRAM. Nothing is installed and root is not needed: apt resolves, downloads and
# verifies the packages with a configuration of its own; they are unpacked into a folder and run by their own dynamic
# loader. Versions are what unstable has on that day; remove the folder to get newer ones.
#
# LAB_PRELOAD names a library that a program is started with, such as that of faketime.
#
#   PIPEMEDIC_UNSTABLE=no   leaves them out
#
# Where they cannot be had, setup.sh says why in one line and goes on, and the tests that need them are skipped. It tries
# again when an hour has passed.

debian_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# The mirror of the machine's own apt configuration
debian_mirror() {
  local codename
  codename=$(. /etc/os-release && [ "${ID:-}" = debian ] && printf '%s' "${VERSION_CODENAME:-}") || return 0
  # shellcheck disable=SC2016 # apt's own placeholder
  apt-get indextargets --format '$(URI)' 'Created-By: Packages' 2>/dev/null |
    sed -n "s|/dists/$codename/main/binary-.*||p" | head -n 1
}

# FOLDER MIRROR: a configuration that has only unstable in it and takes nothing for installed
write_apt() {
  mkdir -p "$1/lists/partial" "$1/cache/archives/partial"
  : >"$1/status"
  printf 'Types: deb\nURIs: %s\nSuites: unstable\nComponents: main\nSigned-By: %s\n' "$2" "$debian_keyring" \
    >"$1/unstable.sources"
  # Sandbox: apt's own user may not enter a home's cache. Valid-Until: a mirror may be a snapshot, whose release file has
  # expired; its signature is verified all the same.
  cat >"$1/apt.conf" <<CONF
Dir::Etc::sourcelist "$1/unstable.sources";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::lists "$1/lists";
Dir::State::status "$1/status";
Dir::State::extended_states "$1/extended_states";
Dir::Cache "$1/cache";
APT::Default-Release "";
APT::Architectures { "$(dpkg --print-architecture)"; };
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
Acquire::Retries "2";
Acquire::http::Timeout "30";
CONF
}

own_apt() { # FOLDER ARGUMENT...
  APT_CONFIG="$1/apt.conf" DEBIAN_FRONTEND=noninteractive apt-get -qq "${@:2}"
}

# unpack APT FOLDER NAME PACKAGE PROGRAM...: FOLDER/NAME with a bin/PROGRAM for each
unpack() {
  local apt=$1 to=$2/$3 package=$4 deb program loader
  shift 4
  rm -f "$apt"/cache/archives/*.deb
  own_apt "$apt" --download-only -y install "$package"
  mkdir -p "$to/bin"
  for deb in "$apt"/cache/archives/*.deb; do
    # what only the packages' scripts need
    case ${deb##*/} in perl* | libperl* | systemd_* | adduser_* | passwd_* | debconf_*) continue ;; esac
    dpkg-deb -x "$deb" "$to"
  done
  loader=$(cd "$to" && find usr/lib64 usr/lib -maxdepth 1 -name 'ld-linux*.so.*' 2>/dev/null | head -n 1 || true)
  [ -n "$loader" ] || { echo "no dynamic loader among the packages of $package"; exit 1; }
  for program in "$@"; do
    # the folder gets its name later, so the wrapper finds its own place
    cat >"$to/bin/${program##*/}" <<WRAPPER
#!/bin/sh
tree=\$(dirname "\$(dirname "\$(readlink -f "\$0")")")
exec "\$tree/$loader" \${LAB_PRELOAD:+--preload "\$LAB_PRELOAD"} --library-path "$(cd "$to" && ls -d usr/lib/*-linux-gnu | sed 's|^|$tree/|' | paste -sd:)" \\
  "\$tree/$program" "\$@"
WRAPPER
    chmod 755 "$to/bin/${program##*/}"
  done
}

make_unstable() {
  local mirror apt=$1/apt
  has apt-get && has dpkg-deb || { echo 'no apt-get'; exit 1; }
  [ -r "$debian_keyring" ] || { echo "no $debian_keyring"; exit 1; }
  mirror=$(debian_mirror)
  [ -n "$mirror" ] || { echo 'the apt configuration has no Debian mirror'; exit 1; }
  mkdir "$apt"
  write_apt "$apt" "$mirror"
  own_apt "$apt" update
  unpack "$apt" "$1" mysql mysql-server-core usr/sbin/mysqld
  unpack "$apt" "$1" mariadb mariadb-server-core usr/sbin/mariadbd
  unpack "$apt" "$1" redis redis-server usr/bin/redis-server
  unpack "$apt" "$1" valkey valkey-server usr/bin/valkey-server
  unpack "$apt" "$1" faketime libfaketime
  rm -rf "$apt" "$1"/*/usr/share/{doc,man,locale,info} "$1"/*/var
  rm -rf "$1"/mysql/usr/bin/* "$1"/mariadb/usr/bin/* # clients and tools, 80 MB
  make_mysql_data "$1/mysql"
  make_mariadb_data "$1/mariadb"
}

as_root_user=()
if [ "$(id -u)" -eq 0 ]; then as_root_user=(--user=root); fi

# An empty data folder, so that a start takes one second instead of four
make_mysql_data() {
  "$1/bin/mysqld" --no-defaults --initialize-insecure "--datadir=$1/data" "--basedir=$1/usr" \
    "--lc-messages-dir=$1/usr/share/mysql" "--character-sets-dir=$1/usr/share/mysql/charsets" \
    "--plugin-dir=$1/usr/lib/mysql/plugin" --secure-file-priv= --innodb-redo-log-capacity=8M --mysqlx=OFF \
    "${as_root_user[@]}"
  rm -f "$1/data/auto.cnf" # its server_uuid: each copy makes its own
}

# What mariadb-install-db does, which looks for its server where this one is not
make_mariadb_data() {
  local sql=$1/usr/share/mariadb
  mkdir "$1/data"
  {
    printf 'CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket = NULL;\n'
    cat "$sql"/mariadb_{system_tables,performance_tables,system_tables_data}.sql \
      "$sql"/{maria_add_gis_sp_bootstrap,mariadb_sys_schema}.sql
  } | "$1/bin/mariadbd" --no-defaults --bootstrap "--datadir=$1/data" "--basedir=$1/usr" \
    "--lc-messages-dir=$sql" "--character-sets-dir=$sql/charsets" --innodb-log-file-size=16M "${as_root_user[@]}"
}

get_unstable() {
  local failed=$cache/debian-unstable.failed log
  if [ "${PIPEMEDIC_UNSTABLE:-}" = no ] || [ -e "$cache/debian-unstable/.complete" ]; then return; fi
  if [ -n "$(find "$failed" -mmin -60 2>/dev/null)" ]; then return; fi
  log=$(mktemp)
  set +e # in a condition it would be off inside, too
  (set -e; into debian-unstable make_unstable 'from Debian unstable') 2>&1 | tee "$log" | grep '^==> '
  set -e
  if [ -e "$cache/debian-unstable/.complete" ]; then
    rm -f "$failed"
  else
    rm -rf "$cache"/.debian-unstable.*
    mkdir -p "$cache"
    # the last line is the reason
    sed '/^==> /d' "$log" | grep . | tail -n 1 >"$failed" || echo 'unpacking failed' >"$failed"
    say "no MySQL 9, MariaDB 11, Redis 8 and Valkey, their tests are skipped: $(cat "$failed")"
  fi
  rm -f "$log"
}
