# shellcheck shell=bash
# shellcheck disable=SC2034 # the lists are read by the other parts
# What has to be on the machine, and how it gets there. Sourced by ./mill.
#
# A row is `package probe...`. The package is Debian's name; the probe recognises the same thing
# where it came from somewhere else: `cmd NAME`, `pc MODULE [VERSION]`, `header FILE`, `java VERSION`.

PACKAGES_BUILD='
gcc                     cmd gcc
libc6-dev               header stdio.h
cmake                   cmd cmake
ninja-build             cmd ninja
pkg-config              cmd pkg-config
librdkafka-dev          pc rdkafka 2.0.2
libavro-dev             pc avro-c
libyaml-dev             pc yaml-0.1
liblmdb-dev             pc lmdb
libmicrohttpd-dev       pc libmicrohttpd
zlib1g-dev              pc zlib
libjansson-dev          pc jansson
'

PACKAGES_KAFKA='
openjdk-17-jdk-headless java 17
maven                   cmd mvn
kcat                    cmd kcat
'

PACKAGES_BENCH='
python3                 cmd python3
'

PACKAGES_VENV='
python3-venv            python_venv
'

PACKAGES_TEST='
git                     cmd git
clang-format-14         cmd clang-format-14
shellcheck              cmd shellcheck
libcriterion-dev        pc criterion
python3                 cmd python3
python3-venv            python_venv
curl                    cmd curl
'

PACKAGES_CLANG='
clang-14                cmd clang-14
libclang-rt-14-dev      clang_rt
llvm-14                 cmd llvm-symbolizer-14
'

packages_probe() {
    case "$1" in
    cmd) command -v "$2" >/dev/null ;;
    pc) command -v pkg-config >/dev/null && pkg-config --atleast-version="${3:-0}" "$2" ;;
    header) command -v gcc >/dev/null && echo "#include <$2>" | gcc -E - >/dev/null 2>&1 ;;
    java) java_home_find "$2" >/dev/null ;;
    clang_rt)
        local runtime
        command -v clang-14 >/dev/null || return 1
        runtime=$(clang-14 -print-file-name=libclang_rt.asan-x86_64.a)
        [ -e "$runtime" ] || [ -e "$(clang-14 -print-resource-dir)/lib/linux/$(basename "$runtime")" ]
        ;;
    python_venv) command -v python3 >/dev/null && python3 -c 'import ensurepip, venv' 2>/dev/null ;;
    *) die "packages: unknown probe '$1'" ;;
    esac
}

# Prints the home of a Java of at least this version, Debian's OpenJDK 17 first.
java_home_find() {
    local wanted=$1 home version
    for home in /usr/lib/jvm/java-17-openjdk-* "${JAVA_HOME:-}" \
        "$(dirname "$(dirname "$(readlink -f "$(command -v java || echo /nowhere/bin/java)")")")"; do
        [ -x "$home/bin/java" ] || continue
        version=$("$home/bin/java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1)
        if [ -n "$version" ] && [ "$version" -ge "$wanted" ]; then
            echo "$home"
            return 0
        fi
    done
    return 1
}

# Prints those packages of the rows on stdin that are not on this machine.
packages_missing() {
    local package probe installed
    installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null |
        awk '$1 == "installed" { printf "%s ", $2 }')
    while read -r package probe; do
        [ -n "$package" ] || continue
        case " $installed" in *" $package "*) continue ;; esac
        # shellcheck disable=SC2086 # the probe is a word and its arguments
        packages_probe $probe || echo "$package"
    done
}

# Installs what is missing of the rows in $2 and says so; $1 says what it is for.
packages_ensure() {
    local purpose=$1 missing
    local -a as_root=()
    missing=$(packages_missing <<<"$2" | tr '\n' ' ')
    missing=${missing% }
    [ -n "$missing" ] || return 0
    [ -z "${MILL_NO_INSTALL:-}" ] ||
        packages_explain "$purpose" "$missing" "MILL_NO_INSTALL forbids to install them"
    command -v apt-get >/dev/null ||
        packages_explain "$purpose" "$missing" "this machine has no apt-get"
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null || { ! sudo -n true 2>/dev/null && [ ! -t 0 ]; }; then
            packages_explain "$purpose" "$missing" "installing needs root or sudo"
        fi
        # Asks for the password here, if it has to, and not below where the output goes to a file.
        sudo -v || packages_explain "$purpose" "$missing" "sudo refused"
        as_root=(sudo)
    fi
    as_root+=(env DEBIAN_FRONTEND=noninteractive)
    say "$purpose needs packages that are not here, installing: $missing"
    # One unreachable repository among others fails the update; what it lacks, the install tells.
    (apt_run update "${as_root[@]}" apt-get update -q) || say "going on with the package lists that are here"
    # shellcheck disable=SC2086 # one word per package
    apt_run install "${as_root[@]}" apt-get install -q -y --no-install-recommends $missing
    say "packages installed"
}

# apt_run VERB COMMAND..: `apt-get VERB` with the words before it that make it root.
apt_run() {
    local verb=$1
    shift
    quietly "apt-get $verb" "$ROOT/build/mill/apt-$verb.log" "$@" \
        -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0
}

packages_explain() {
    local purpose=$1 missing=$2 why=$3 package
    {
        echo "mill: error: $purpose needs packages that are not here, and $why"
        echo "Install these (Debian 12 names) and run it again:"
        for package in $missing; do
            echo "  $package"
        done
        echo "On Debian or Ubuntu, as root:"
        echo "  apt-get install --no-install-recommends $missing"
    } >&2
    exit 1
}
