#!/bin/sh
# Builds nginx with OpenSSL and njs from sources that sources.lock names, installs the result beside what runs, and switches to it.
# docs/edge/nginx-build.md says why each thing is as it is.
set -eu
LC_ALL=C
export LC_ALL
umask 022

usage() {
  cat <<'END'
build.sh [options] [command]

commands
  build         sources, compilation, checks, installation, then switch (this one if none is given)
  sources       gets, verifies and unpacks the sources only
  check ID      checks an installed version again
  switch ID     makes an installed version the current one; a running nginx of ours is replaced without losing a connection
  rollback      switches to the version before
  list          what is installed
  candidates    lines for the lock of what Debian's package lists name now

options
  --dry-run      says what would be done, and changes nothing
  --sources DIR  looks for the files of the lock here before it downloads them
  --offline      downloads nothing
  --lock FILE    (sources.lock beside this script)
  --prefix DIR   versions are installed below it (/opt/heliograph-nginx)
  --state DIR    pid file, logs, temporary files (/var/lib/heliograph-nginx)
  --conf FILE    the configuration that the program reads if it is told nothing else (/etc/nginx/nginx.conf)
  --user NAME    whom the workers run as (www-data); --group NAME (the same)
  --jobs N       compilers at once (as many as there are processors)
  --work DIR     where to build; kept (a temporary folder, removed at the end)
  --no-switch    installs, and leaves the current version alone
  --wait N       seconds that a new nginx may take to come up in the place of a running one (10)
END
}

HERE=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
COMMAND=build
ARGUMENT=
DRY=
SOURCES=
OFFLINE=
LOCK=$HERE/sources.lock
PREFIX=/opt/heliograph-nginx
STATE=/var/lib/heliograph-nginx
CONF=/etc/nginx/nginx.conf
RUN_USER=www-data
RUN_GROUP=
JOBS=
WORK=
KEEP=
SWITCH=yes
COMPONENTS='nginx openssl njs'
MIRROR=http://deb.debian.org/debian
SECURITY_MIRROR=http://deb.debian.org/debian-security
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
GROUP_WANTED=X25519MLKEM768
WAIT_SECONDS=10

say() { printf '%s\n' "$*"; }
warn() { printf 'note: %s\n' "$*" >&2; }
die() {
  printf 'build.sh: %s\n' "$*" >&2
  exit 1
}
misuse() {
  printf 'build.sh: %s\n\n' "$*" >&2
  usage >&2
  exit 2
}
run() {
  if [ -n "$DRY" ]; then
    printf '+'
    for word in "$@"; do
      case $word in
        *[!A-Za-z0-9_./:=,+~@%-]* | '') printf " '%s'" "$word" ;;
        *) printf ' %s' "$word" ;;
      esac
    done
    printf '\n'
  else
    "$@"
  fi
}

absolute() {
  case $2 in
    *[!A-Za-z0-9_./+~-]*) misuse "$1: only letters, digits and . _ + ~ - may stand in a path" ;;
    /*) printf '%s\n' "$2" ;;
    *) printf '%s/%s\n' "$(pwd)" "$2" ;;
  esac
}

read_arguments() {
  positional=0
  while [ $# -gt 0 ]; do
    case $1 in
      --dry-run) DRY=yes ;;
      --offline) OFFLINE=yes ;;
      --no-switch) SWITCH= ;;
      -h | --help)
        usage
        exit 0
        ;;
      --sources | --lock | --prefix | --state | --conf | --user | --group | --jobs | --work | --wait)
        [ $# -ge 2 ] || misuse "$1 wants a value"
        take_option "$1" "$2"
        shift
        ;;
      -*) misuse "there is no option $1" ;;
      *)
        positional=$((positional + 1))
        case $positional in
          1) COMMAND=$1 ;;
          2) ARGUMENT=$1 ;;
          *) misuse "too many words: $1" ;;
        esac
        ;;
    esac
    shift
  done
  RUN_GROUP=${RUN_GROUP:-$RUN_USER}
  JOBS=${JOBS:-$(getconf _NPROCESSORS_ONLN)}
  case $COMMAND in
    check | switch)
      case $ARGUMENT in
        '' | *[!A-Za-z0-9_.+~-]* | .*) misuse "$COMMAND wants the name of an installed version: see list" ;;
      esac
      ;;
    build | sources | rollback | list | candidates) [ -z "$ARGUMENT" ] || misuse "$COMMAND takes no argument" ;;
    *) misuse "there is no command $COMMAND" ;;
  esac
}

take_option() {
  case $1 in
    --sources) SOURCES=$(absolute "$1" "$2") ;;
    --lock) LOCK=$(absolute "$1" "$2") ;;
    --prefix) PREFIX=$(absolute "$1" "$2") ;;
    --state) STATE=$(absolute "$1" "$2") ;;
    --conf) CONF=$(absolute "$1" "$2") ;;
    --user) RUN_USER=$(name_of "$1" "$2") ;;
    --group) RUN_GROUP=$(name_of "$1" "$2") ;;
    --work)
      WORK=$(absolute "$1" "$2")
      KEEP=yes
      ;;
    --jobs) JOBS=$(positive "$1" "$2") ;;
    --wait) WAIT_SECONDS=$(positive "$1" "$2") ;;
  esac
}

positive() {
  case $2 in
    '' | *[!0-9]* | 0*) misuse "$1 is a positive number" ;;
    *) printf '%s\n' "$2" ;;
  esac
}

name_of() {
  case $2 in
    root) misuse "$1: the workers do not run as root" ;;
    '' | -* | *[!a-z0-9_-]*) misuse "$1: $2 is no name of a user" ;;
    *) printf '%s\n' "$2" ;;
  esac
}

# ---- the lock: component, version, where from, file, SHA-256; the newest of a component first

lock_lines() { sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$LOCK"; }

must_be_a_lock() {
  [ -r "$LOCK" ] || die "cannot read the lock $LOCK"
  wrong=$(lock_lines | awk -v components=" $COMPONENTS " '
    NF != 5 || index(components, " " $1 " ") == 0 || $2 !~ /^[0-9][A-Za-z0-9.+~:-]*$/ ||
    $3 !~ /^(given|deb:[a-z-]+)$/ || $4 !~ /^[A-Za-z0-9][A-Za-z0-9.+~_-]*$/ || $5 !~ /^[0-9a-f]+$/ || length($5) != 64 { print; exit }')
  [ -z "$wrong" ] || die "the lock has a line that is none: $wrong"
  for component in $COMPONENTS; do
    [ -n "$(versions_of "$component")" ] || die "the lock names no $component"
  done
}

versions_of() { lock_lines | awk -v c="$1" '$1 == c && !seen[$2 " " $3]++ { print $2 " " $3 }'; }
# component, version, where from: lines "file sha256"
files_of() { lock_lines | awk -v c="$1" -v v="$2" -v f="$3" '$1 == c && $2 == v && $3 == f { print $4, $5 }'; }
suites() {
  named=$(lock_lines | awk '$3 ~ /^deb:/ && !seen[$3]++ { print substr($3, 5) }')
  printf '%s\n' "${named:-sid trixie-security trixie}"
}
package_of() {
  case $1 in
    njs) echo libnginx-mod-js ;;
    *) echo "$1" ;;
  esac
}
plain_version() {
  given=${1#*:}
  printf '%s\n' "${given%%-*}"
}

# ---- sources

has_all() {
  files_of "$2" "$3" "$4" | while read -r file _; do [ -f "$1/$file" ] || exit 1; done
}

must_match() {
  files_of "$2" "$3" "$4" | while read -r file wanted; do
    is=$(sha256sum <"$1/$file" | cut -d ' ' -f 1)
    [ "$is" = "$wanted" ] || die "$1/$file is not the file that the lock names (SHA-256 $is, wanted $wanted)"
  done
}

apt_lists() {
  [ ! -f "$WORK/apt/ready" ] || return 0
  [ -r "$KEYRING" ] || die "$KEYRING is not here (apt-get install debian-archive-keyring)"
  mkdir -p "$WORK/apt/lists/partial" "$WORK/apt/cache/archives/partial" "$WORK/files"
  for suite in $(suites); do
    mirror=$MIRROR
    case $suite in
      *-security) mirror=$SECURITY_MIRROR ;;
    esac
    say "deb-src [signed-by=$KEYRING] $mirror $suite main"
  done >"$WORK/apt/sources.list"
  apt_private update >"$WORK/apt/log" 2>&1 || {
    tail -n 5 "$WORK/apt/log" >&2
    die "Debian's package lists cannot be had (--offline --sources DIR builds without them)"
  }
  : >"$WORK/apt/ready"
}

# Nothing of the machine's own apt is read or changed; apt checks the lists' signature and what they name by it.
apt_private() {
  apt-get -q -o Dir::Etc::SourceList="$WORK/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null \
    -o Dir::State="$WORK/apt" -o Dir::State::Lists="$WORK/apt/lists" -o Dir::Cache="$WORK/apt/cache" \
    -o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none "$@"
}

# component, version: every file into $WORK/files, or not
download() {
  apt_lists
  (cd "$WORK/files" && apt_private source --download-only "$(package_of "$1")=$2") >"$WORK/apt/log" 2>&1
}

# component: leaves "version from folder" in $WORK/chosen-<component>
obtain() {
  rm -f "$WORK/chosen-$1"
  versions_of "$1" >"$WORK/candidates-$1"
  newest=
  while read -r version from; do
    newest=${newest:-$version}
    folder=$SOURCES
    if [ -z "$SOURCES" ] || ! has_all "$SOURCES" "$1" "$version" "$from"; then
      folder=$WORK/files
      case $from:$OFFLINE in
        deb:*:) download "$1" "$version" </dev/null || continue ;;
        *) continue ;;
      esac
      has_all "$folder" "$1" "$version" "$from" || continue
    fi
    must_match "$folder" "$1" "$version" "$from" || exit 1
    say "$1 $version: $folder, every checksum as in the lock"
    case $version in
      "$newest" | "$(plain_version "$newest")") ;;
      *) warn "the lock's newest $1 is $newest, but it could not be had: look for it before this goes into service" ;;
    esac
    say "$version $from $folder" >"$WORK/chosen-$1"
    return 0
  done <"$WORK/candidates-$1"
  die "none of the lock's versions of $1 could be had: $(cut -d ' ' -f 1 "$WORK/candidates-$1" | tr '\n' ' ')"
}

chosen() { cut -d ' ' -f "$2" "$WORK/chosen-$1"; }

# A Debian source package is unpacked by dpkg-source: it checks every file by the .dsc once more and applies Debian's security patches.
unpack() {
  folder=$(chosen "$1" 3)
  version=$(chosen "$1" 1)
  from=$(chosen "$1" 2)
  rm -rf "$WORK/src/$1"
  mkdir -p "$WORK/src"
  first=$(files_of "$1" "$version" "$from" | awk '$1 ~ /\.dsc$/ { print $1 }')
  if [ -n "$first" ]; then
    (cd "$WORK/src" && dpkg-source --no-copy --require-strong-checksums -x "$folder/$first" "$1") >"$WORK/unpack-$1.log" 2>&1 || {
      tail -n 5 "$WORK/unpack-$1.log" >&2
      die "dpkg-source does not accept $first"
    }
    grep -q 'no acceptable signature\|cannot verify\|unsigned' "$WORK/unpack-$1.log" &&
      warn "$first: its maintainer's signature was not checked (no debian-keyring); Debian's signature over the lists or the lock vouches for it"
  else
    mkdir "$WORK/src/$1"
    first=$(files_of "$1" "$version" "$from" | awk 'NR == 1 { print $1 }')
    tar -x --no-same-owner --strip-components=1 -C "$WORK/src/$1" -f "$folder/$first" || die "$first cannot be unpacked"
  fi
  marker=configure
  [ "$1" != openssl ] || marker=config
  [ -f "$WORK/src/$1/$marker" ] || die "$first has no $marker in it"
}

# What would be taken if everything that is not in --sources could be downloaded.
plan_sources() {
  for component in $COMPONENTS; do
    versions_of "$component" | {
      while read -r version from; do
        if [ -n "$SOURCES" ] && has_all "$SOURCES" "$component" "$version" "$from"; then
          must_match "$SOURCES" "$component" "$version" "$from" || exit 1
          say "$component $version: from $SOURCES"
          exit 0
        fi
        case $from:$OFFLINE in
          deb:*:) say "$component $version: would be tried (source package $(package_of "$component") of Debian ${from#deb:})" ;;
          given:) say "$component $version: would be taken if it were in --sources" ;;
        esac
      done
      [ -z "$OFFLINE" ] || die "none of the lock's versions of $component is in --sources"
    } || exit 1
  done
}

get_sources() {
  mkdir -p "$WORK"
  for component in $COMPONENTS; do obtain "$component"; done
  for component in $COMPONENTS; do unpack "$component"; done
}

# ---- flags

hardening() {
  printf '%s' '-fPIC -fstack-protector-strong -fstack-clash-protection -D_FORTIFY_SOURCE=2 -Wformat -Werror=format-security'
  case $(uname -m) in
    x86_64) printf '%s' ' -fcf-protection' ;;
    aarch64) printf '%s' ' -mbranch-protection=standard' ;;
  esac
}

# Only what a server of TLS 1.2 and 1.3 uses; nothing is loaded at run time, from a folder of the build least of all. It optimizes by itself.
openssl_options() {
  printf '%s' 'no-tests no-docs no-legacy no-module no-engine no-dso no-comp no-ssl3 no-weak-ssl-ciphers --openssldir=/etc/ssl '
  hardening
}

# One argument a line.
configure_arguments() {
  cat <<END
--prefix=$1
--sbin-path=$1/sbin/nginx
--modules-path=$1/modules
--conf-path=$CONF
--error-log-path=$STATE/log/error.log
--http-log-path=$STATE/log/access.log
--pid-path=$STATE/nginx.pid
--lock-path=$STATE/nginx.lock
--http-client-body-temp-path=$STATE/body
--http-fastcgi-temp-path=$STATE/fastcgi
--http-proxy-temp-path=$STATE/proxy
--http-scgi-temp-path=$STATE/scgi
--http-uwsgi-temp-path=$STATE/uwsgi
--user=$RUN_USER
--group=$RUN_GROUP
--with-compat
--with-threads
--with-file-aio
--with-pcre-jit
--with-debug
--with-http_ssl_module
--with-http_v2_module
--with-http_v3_module
--with-http_stub_status_module
--with-http_realip_module
--with-http_addition_module
--with-http_dav_module
--with-http_gzip_static_module
--with-http_sub_module
--with-http_xslt_module
--with-http_auth_request_module
--with-http_secure_link_module
--with-stream
--with-stream_ssl_module
--with-stream_ssl_preread_module
--with-stream_realip_module
--with-cc-opt=-O2 $(hardening)
--with-ld-opt=-fPIC -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack
--with-openssl=$2/openssl
--with-openssl-opt=$(openssl_options)
--add-dynamic-module=$2/njs/nginx
END
}

# What is built from what and how, in a name: another flag is another version.
version_name() {
  made=$({
    configure_arguments PREFIX SOURCES
    for component in $COMPONENTS; do files_of "$component" "$(chosen "$component" 1)" "$(chosen "$component" 2)"; done
  } | sha256sum | cut -c 1-8)
  for component in $COMPONENTS; do printf '%s-%s-' "$component" "$(plain_version "$(chosen "$component" 1)")"; done
  printf '%s\n' "$made"
}

must_have_tools() {
  missing=
  for tool in gcc make perl dpkg-source readelf sha256sum tar; do
    command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
  done
  for header in pcre2.h:libpcre2-dev zlib.h:zlib1g-dev libxslt/xslt.h:libxslt1-dev libxml2/libxml/parser.h:libxml2-dev; do
    printf '#define PCRE2_CODE_UNIT_WIDTH 8\n#include <%s>\n' "${header%%:*}" |
      gcc -I/usr/include/libxml2 -E -x c - >/dev/null 2>&1 || missing="$missing ${header#*:}"
  done
  [ -z "$missing" ] || ${DRY:+warn} ${DRY:-die} "not installed:$missing (apt-get install build-essential dpkg-dev libpcre2-dev zlib1g-dev libxslt1-dev)"
}

# ---- compilation

# command and arguments, with what it says in a file; its end is shown if it fails
logged() {
  log=$1
  shift
  "$@" >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    die "failed: $1 (all of it in $log)"
  }
}

compile() {
  set --
  while IFS= read -r line; do set -- "$@" "$line"; done <<END
$(configure_arguments "$TARGET" "$WORK/src")
END
  (
    cd "$WORK/src/nginx"
    # njs by itself: no XML, no second engine that happens to be installed.
    NJS_LIBXSLT=NO NJS_QUICKJS=NO
    export NJS_LIBXSLT NJS_QUICKJS
    say "configure ($WORK/configure.log)"
    logged "$WORK/configure.log" ./configure "$@"
    say "make -j$JOBS ($WORK/make.log): some minutes"
    logged "$WORK/make.log" make -j"$JOBS"
  ) || exit 1
}

# Into a folder of the build first: configuration files of the machine are never touched.
stage() {
  rm -rf "$WORK/stage"
  (cd "$WORK/src/nginx" && logged "$WORK/install.log" make install DESTDIR="$WORK/stage") || exit 1
  mkdir -p "$WORK/stage$TARGET/bin" "$WORK/stage$TARGET/conf"
  cp "$WORK/src/openssl/.openssl/bin/openssl" "$WORK/stage$TARGET/bin/openssl"
  cp "$WORK/src/nginx/conf/mime.types" "$WORK/stage$TARGET/conf/"
  configure_arguments "$TARGET" "$WORK/src" >"$WORK/stage$TARGET/configure-arguments"
  for component in $COMPONENTS; do
    files_of "$component" "$(chosen "$component" 1)" "$(chosen "$component" 2)" |
      sed "s/^/$component $(chosen "$component" 1) /"
  done >"$WORK/stage$TARGET/sources"
}

# ---- checks of a built or installed version, in the folder $1

must_be_as_asked() {
  is=$("$1/sbin/nginx" -V 2>&1) || die "$1/sbin/nginx does not run: $is"
  # -V puts arguments that have spaces between quotes after the equals sign.
  while IFS= read -r line; do
    case $line in
      *' '*) line="${line%%=*}='${line#*=}'" ;;
    esac
    case " $is " in
      *" $line "*) ;;
      *) die "nginx -V does not name what was asked for: $line" ;;
    esac
  done <"$1/configure-arguments"
  for part in nginx openssl; do
    version=$(awk -v c="$part" '$1 == c { print $2; exit }' "$1/sources")
    version=$(plain_version "$version")
    case $(printf '%s' "$is" | tr '\n' ' ') in
      *"nginx/$version "* | *"built with OpenSSL $version "*) ;;
      *) die "nginx -V does not name $part $version" ;;
    esac
  done
  say "as asked: nginx -V names every module and version"
}

must_be_hardened() {
  for file in "$1/sbin/nginx" "$1"/modules/*.so; do
    about=$(readelf -W -h -l -d "$file" 2>/dev/null) || die "$file is no program"
    lacks=
    printf '%s\n' "$about" | grep -q 'Type: *DYN' || lacks="$lacks position-independence"
    printf '%s\n' "$about" | grep -q 'GNU_RELRO' || lacks="$lacks relro"
    printf '%s\n' "$about" | grep -q 'BIND_NOW\|Flags:.* NOW' || lacks="$lacks immediate-binding"
    printf '%s\n' "$about" | grep 'GNU_STACK' | grep -q 'RWE' && lacks="$lacks non-executable-stack"
    readelf -W --dyn-syms "$file" | grep -q '__stack_chk_fail' || lacks="$lacks stack-protector"
    readelf -W --dyn-syms "$file" | grep -q '__[a-z]*_chk@' || lacks="$lacks fortified-calls"
    [ -z "$lacks" ] || die "$file lacks:$lacks"
  done
  say 'hardened: position-independent, relro, bound at start, stack protected, calls fortified'
}

# A real server on a socket in a folder, a real handshake by the same build's openssl: nothing else, and the group by itself.
must_offer_group() {
  if dpkg --compare-versions "$(plain_version "$(awk '$1 == "openssl" { print $2; exit }' "$1/sources")")" lt 3.5; then
    warn "OpenSSL before 3.5 has no $GROUP_WANTED"
    return 0
  fi
  trial=$(mktemp -d)
  "$1/bin/openssl" req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=trial -addext basicConstraints=CA:FALSE \
    -config /dev/null -keyout "$trial/key.pem" -out "$trial/certificate.pem" 2>"$trial/said" || {
    cat "$trial/said" >&2
    die 'no certificate could be made for the trial'
  }
  trial_configuration "$1" "$trial" >"$trial/nginx.conf"
  "$1/sbin/nginx" -p "$trial" -c "$trial/nginx.conf" -e "$trial/error.log" 2>"$trial/said" || {
    cat "$trial/said" >&2
    rm -rf "$trial"
    die 'the new nginx does not start with TLS and njs'
  }
  outcome=
  for groups in '' "-groups $GROUP_WANTED"; do
    # shellcheck disable=SC2086
    "$1/bin/openssl" s_client -unix "$trial/socket" -tls1_3 $groups </dev/null >"$trial/said" 2>&1 || outcome="no handshake ($groups)"
    grep -q "TLS1.3 group: $GROUP_WANTED" "$trial/said" || outcome=${outcome:-"another group was agreed on ($groups)"}
  done
  printf 'GET /njs HTTP/1.0\r\n\r\n' | "$1/bin/openssl" s_client -unix "$trial/socket" -quiet 2>/dev/null >"$trial/answer" || true
  kill -QUIT "$(cat "$trial/nginx.pid")"
  asked=$(awk '$1 == "njs" { print $2; exit }' "$1/sources")
  grep -q "njs $(plain_version "$asked")" "$trial/answer" || outcome=${outcome:-'njs does not answer'}
  grep -q 'js_access' "$trial/answer" || outcome=${outcome:-'js_access does not answer'}
  [ -z "$outcome" ] || tail -n 5 "$trial/error.log" >&2
  rm -rf "$trial"
  [ -z "$outcome" ] || die "TLS 1.3 with $GROUP_WANTED: $outcome"
  say "TLS 1.3 with $GROUP_WANTED: agreed on in a handshake with the new nginx; njs answers, from js_access too"
}

# Files that js_import names lie in the trial's folder, as everything that it writes.
trial_configuration() {
  cat >"$2/trial.js" <<'END'
const answer = (r) => r.return(200, `njs ${njs.version} ${r.variables.who}\n`)
const access = (r) => { r.variables.who = 'js_access' }
export default { answer, access }
END
  own=
  [ "$(id -u)" -ne 0 ] || own="user $(id -un) $(id -gn);"
  cat <<END
$own
load_module $1/modules/ngx_http_js_module.so;
load_module $1/modules/ngx_stream_js_module.so;
pid $2/nginx.pid;
worker_processes 1;
events { worker_connections 16; }
http {
  access_log off;
  client_body_temp_path $2/body;
  proxy_temp_path $2/proxy;
  fastcgi_temp_path $2/fastcgi;
  uwsgi_temp_path $2/uwsgi;
  scgi_temp_path $2/scgi;
  js_path $2;
  js_import trial from trial.js;
  js_var \$who nobody;
  server {
    listen unix:$2/socket ssl;
    ssl_protocols TLSv1.3;
    ssl_certificate $2/certificate.pem;
    ssl_certificate_key $2/key.pem;
    location /njs {
      js_access trial.access;
      js_content trial.answer;
    }
  }
}
END
}

check_version() {
  must_be_as_asked "$1"
  must_be_hardened "$1"
  must_offer_group "$1"
}

# ---- installed versions

put_in_place() {
  mkdir -p "$PREFIX/versions"
  rm -rf "$PREFIX/versions/.new"
  cp -R "$WORK/stage$TARGET" "$PREFIX/versions/.new"
  mv -T "$PREFIX/versions/.new" "$TARGET"
  say "installed: $TARGET"
}

make_state() {
  run mkdir -p "$STATE/log"
  [ "$(id -u)" -ne 0 ] || run chown "$RUN_USER:$RUN_GROUP" "$STATE" "$STATE/log"
}

pointed() { readlink "$PREFIX/$1" 2>/dev/null | sed 's,^versions/,,'; }

# link, version: one renaming, so that there is no moment without it
point() {
  run ln -s "versions/$2" "$PREFIX/.$1.$$"
  run mv -T "$PREFIX/.$1.$$" "$PREFIX/$1"
}

must_be_installed() {
  [ -x "$PREFIX/versions/$1/sbin/nginx" ] || die "$1 is not installed below $PREFIX/versions"
}

# The configuration of the machine has to suit the new program before anything is switched.
must_suit() {
  if [ ! -f "$CONF" ]; then
    warn "$CONF is not there yet, so it was not tested"
    return 0
  fi
  run "$PREFIX/versions/$1/sbin/nginx" -t -q -c "$CONF" || die "$1 does not accept $CONF: nothing was switched"
}

switch_to() {
  must_be_installed "$1"
  before=$(pointed current)
  if [ "$before" = "$1" ]; then
    say "$1 is the current version already"
    return 0
  fi
  make_state
  must_suit "$1"
  point current "$1"
  if ! replace_running "$1"; then
    if [ -n "$before" ]; then point current "$before"; else rm "$PREFIX/current"; fi
    die "the running nginx was left as it was, and so is the current version${before:+ ($before)}"
  fi
  [ -z "$before" ] || point previous "$before"
  say "current: $1${before:+ (rollback leads to $before)}"
}

program_of() { readlink "/proc/$1/exe" 2>/dev/null || true; }

pid_in() {
  [ -s "$1" ] || return 1
  read -r pid <"$1"
  case $pid in
    '' | *[!0-9]*) return 1 ;;
  esac
  printf '%s\n' "$pid"
}

# nginx's own way (http://nginx.org/en/docs/control.html#upgrade): the old one serves on until the new one does.
replace_running() {
  old=$(pid_in "$STATE/nginx.pid") || return 0
  case $(program_of "$old") in
    "$PREFIX"/versions/*) ;;
    *) return 0 ;;
  esac
  if [ -n "$DRY" ]; then
    run kill -USR2 "$old"
    run kill -QUIT "$old"
    return 0
  fi
  kill -USR2 "$old"
  tries=0
  while [ $tries -lt $((WAIT_SECONDS * 10)) ]; do
    new=$(pid_in "$STATE/nginx.pid") || new=$old
    if [ "$new" != "$old" ]; then
      case $(program_of "$new") in
        "$PREFIX/versions/$1"/*)
          kill -QUIT "$old"
          say "running: $1 as process $new; process $old serves what it has begun and ends"
          return 0
          ;;
      esac
    fi
    sleep 0.1
    tries=$((tries + 1))
  done
  if [ "${new:-$old}" != "$old" ]; then
    kill -QUIT "$new" 2>/dev/null || true
    warn "process $new is another program: start nginx as $PREFIX/current/sbin/nginx"
  fi
  return 1
}

list() {
  [ -d "$PREFIX/versions" ] || return 0
  for folder in "$PREFIX"/versions/*; do
    [ -x "$folder/sbin/nginx" ] || continue
    name=${folder##*/}
    case $name in
      "$(pointed current)") say "$name  current" ;;
      "$(pointed previous)") say "$name  previous" ;;
      *) say "$name" ;;
    esac
  done
}

candidates() {
  apt_lists
  for component in $COMPONENTS; do
    for suite in $(suites); do
      for list in "$WORK/apt/lists/"*"_dists_${suite}_main_source_Sources"*; do /usr/lib/apt/apt-helper cat-file "$list"; done |
        awk -v component="$component" -v package="$(package_of "$component")" -v from="deb:$suite" '
          /^Package:/ { mine = ($2 == package) }
          /^Version:/ { version = $2 }
          /^[^ ]/ { sums = ($1 == "Checksums-Sha256:") }
          mine && sums && /^ / { print component, version, from, $3, $1 }'
    done
  done
}

# ---- commands

main_build() {
  must_have_tools
  if [ -n "$DRY" ]; then
    plan_sources
    run ./configure
    configure_arguments "$PREFIX/versions/ID" "$WORK/src" | sed 's/^/    /'
    run make -j"$JOBS"
    run make install "DESTDIR=$WORK/stage"
    say "checks: nginx -V against the arguments, hardening, a handshake with $GROUP_WANTED, njs"
    say "then $PREFIX/versions/ID, nginx -t -c $CONF, $PREFIX/current"
    return 0
  fi
  get_sources
  name=$(version_name)
  TARGET=$PREFIX/versions/$name
  if [ -d "$TARGET" ]; then
    say "$name is installed already"
  else
    compile
    stage
    # The program knows its folder by its full name: what is compiled in is looked at where it was staged.
    check_version "$WORK/stage$TARGET"
    put_in_place
  fi
  [ -z "$SWITCH" ] || switch_to "$name"
}

main() {
  read_arguments "$@"
  [ "$COMMAND" = candidates ] || must_be_a_lock
  if [ -z "$WORK" ]; then
    if [ -n "$DRY" ]; then WORK=/tmp/heliograph-nginx-build; else WORK=$(mktemp -d); fi
    trap '[ -n "$KEEP" ] || [ -n "$DRY" ] || rm -rf "$WORK"' EXIT
    trap 'exit 130' INT TERM
  fi
  case $COMMAND in
    build) main_build ;;
    sources)
      if [ -n "$DRY" ]; then plan_sources; else
        get_sources
        for component in $COMPONENTS; do say "$component $(chosen "$component" 1) -> $WORK/src/$component"; done
      fi
      ;;
    check)
      must_be_installed "$ARGUMENT"
      check_version "$PREFIX/versions/$ARGUMENT"
      ;;
    switch) switch_to "$ARGUMENT" ;;
    rollback)
      before=$(pointed previous)
      [ -n "$before" ] || die 'there is no version before'
      switch_to "$before"
      ;;
    list) list ;;
    candidates) candidates ;;
  esac
}

# On one line with the end: an edited file is not read on when a build of minutes is over.
main "$@"; exit
