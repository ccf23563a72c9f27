#!/bin/sh
# Build both images and say how large they are: `make images`.
#
# From the environment: ENGINE (podman or docker), BASE_IMAGE (instead of the pinned one),
# ACCELERATOR (cuda or cpu, of the training image), NAME (prefix of the names, polyid), TAG
# (latest), IMAGES (serve, train or both), NETWORK (of the build, such as host). With syft
# installed SBOMs go to dist/; SYFT= makes none.
#
# PUSH=1 sends what was built to the registry that NAME begins with, such as ghcr.io/acme/polyid,
# after logging in there as REGISTRY_USER with REGISTRY_TOKEN if they are set. Name and digest of
# what was sent stand in dist/pushed-*.txt; a workflow gets them as the outputs `name` and `digest`.
set -eu
cd "$(dirname "$0")/.."

fail() {
    printf '[images] %s\n' "$@" >&2
    exit 2
}

ENGINE=${ENGINE:-$(command -v podman || command -v docker || true)}
[ -n "$ENGINE" ] || fail "Neither podman nor docker is here: install one of them, or set ENGINE."
ACCELERATOR=${ACCELERATOR:-cuda}
case $ACCELERATOR in cuda | cpu) ;; *) fail "ACCELERATOR is '$ACCELERATOR': expected cuda or cpu." ;; esac
NAME=$(printf '%s' "${NAME:-polyid}" | tr '[:upper:]' '[:lower:]') # as registries want it
TAG=${TAG:-latest}
COMMIT=$(git rev-parse HEAD 2>/dev/null || echo unknown)
SYFT=${SYFT-$(PATH="$PWD/.venv/bin:$PATH" command -v syft || true)}

takes() { # a command of the engine's, an option: podman may be called docker
    "$ENGINE" "$1" --help 2>/dev/null | grep -q -e "$2"
}

log_in() {
    [ -n "${REGISTRY_TOKEN:-}" ] || return 0
    printf '%s' "$REGISTRY_TOKEN" |
        "$ENGINE" login --username "${REGISTRY_USER:-}" --password-stdin "${NAME%%/*}" >&2 ||
        fail "${NAME%%/*} refused REGISTRY_USER '${REGISTRY_USER:-}' with its REGISTRY_TOKEN."
}

push() { # which image
    if takes push --digestfile; then # the digest it knows itself is that of what it keeps, not of what it sends
        "$ENGINE" push --quiet --digestfile "dist/pushed-$which.txt" "$1" || return 1
        digest=$(cat "dist/pushed-$which.txt")
    else
        "$ENGINE" push --quiet "$1" >&2 || return 1
        digest=$("$ENGINE" image inspect --format '{{index .RepoDigests 0}}' "$1")
        digest=${digest#*@}
    fi
    printf '%s@%s\n' "${1%:*}" "$digest" >"dist/pushed-$which.txt"
    printf 'name=%s\ndigest=%s\n' "${1%:*}" "$digest" >>"${GITHUB_OUTPUT:-/dev/null}"
    printf '[images] pushed %s@%s\n' "${1%:*}" "$digest"
}

lock_of() {
    case $1-$ACCELERATOR in
    serve-*) echo requirements/image-serve.lock ;;
    train-cuda) echo requirements/image-train-cuda.lock ;;
    train-cpu) echo requirements/runtime.lock ;;
    *) fail "IMAGES holds '$1': expected serve or train." ;;
    esac
}

build() { # the format of docker, because that of OCI has no HEALTHCHECK
    image=$NAME-$1:$TAG
    lock=$(lock_of "$1")
    set -- "$1" -f "Dockerfile.$1" -t "$image" --build-arg "COMMIT=$COMMIT" \
        --build-arg "LOCK_SHA256=$(sha256sum "$lock" | cut -d' ' -f1)"
    [ "$1" != train ] || set -- "$@" --build-arg "ACCELERATOR=$ACCELERATOR"
    [ -z "${BASE_IMAGE:-}" ] || set -- "$@" --build-arg "BASE_IMAGE=$BASE_IMAGE"
    [ -z "${NETWORK:-}" ] || set -- "$@" --network "$NETWORK"
    ! takes build --format || set -- "$@" --format docker
    which=$1
    shift
    started=$(date +%s)
    DOCKER_BUILDKIT=1 "$ENGINE" build "$@" .
    size=$("$ENGINE" image inspect --format '{{.Size}}' "$image")
    printf '[images] %s: %s MB, built in %s s\n' "$image" $((size / 1000000)) $(($(date +%s) - started))
    mkdir -p dist
    if [ -n "$SYFT" ]; then
        archive=$(mktemp)
        "$ENGINE" save -o "$archive" "$image" ||
            { rm -f "$archive"; fail "$image could not be saved for its SBOM."; }
        "$SYFT" scan -q "docker-archive:$archive" -o "cyclonedx-json=dist/sbom-$which.json"
        rm -f "$archive"
        printf '[images] dist/sbom-%s.json: what the image holds\n' "$which"
    else
        printf '[images] No SBOM: syft is not installed (make setup-dev brings it).\n'
    fi
    if [ "${PUSH:-}" = 1 ]; then
        push "$image" || fail "$image could not be pushed: the message stands above."
    fi
}

if [ "${PUSH:-}" = 1 ]; then
    case $NAME in
    */*) log_in ;;
    *) fail "PUSH is 1 and NAME is '$NAME': expected it to begin with a registry, such as ghcr.io/acme/polyid." ;;
    esac
fi

for which in ${IMAGES:-serve train}; do build "$which"; done
