#!/bin/sh
# Build both images and say how large they are: `make images`.
#
# From the environment: ENGINE (podman or docker), BASE_IMAGE (instead of the pinned one),
# ACCELERATOR (cuda or cpu, of the training image), NAME (prefix of the names, polyid), TAG
# (latest), IMAGES (serve, train or both), NETWORK (of the build, such as host). With syft
# installed, SBOMs go to dist/.
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
NAME=${NAME:-polyid}
TAG=${TAG:-latest}
COMMIT=$(git rev-parse HEAD 2>/dev/null || echo unknown)
SYFT=$(PATH="$PWD/.venv/bin:$PATH" command -v syft || true)

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
    case ${ENGINE##*/} in podman*) set -- "$@" --format docker ;; esac
    which=$1
    shift
    started=$(date +%s)
    DOCKER_BUILDKIT=1 "$ENGINE" build "$@" .
    size=$("$ENGINE" image inspect --format '{{.Size}}' "$image")
    printf '[images] %s: %s MB, built in %s s\n' "$image" $((size / 1000000)) $(($(date +%s) - started))
    if [ -n "$SYFT" ]; then
        mkdir -p dist
        archive=$(mktemp)
        "$ENGINE" save -o "$archive" "$image" ||
            { rm -f "$archive"; fail "$image could not be saved for its SBOM."; }
        "$SYFT" scan -q "docker-archive:$archive" -o "cyclonedx-json=dist/sbom-$which.json"
        rm -f "$archive"
        printf '[images] dist/sbom-%s.json: what the image holds\n' "$which"
    else
        printf '[images] No SBOM: syft is not installed (make setup-dev brings it).\n'
    fi
}

for which in ${IMAGES:-serve train}; do build "$which"; done
