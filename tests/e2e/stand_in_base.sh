#!/bin/bash
# Makes a base image where no image registry answers: Debian's smallest system with the CPython
# that runs the tests, where the official Python image has it. Needs podman and mmdebstrap.
#
#   stand_in_base.sh NAME [PYTHON]
set -euo pipefail
name=$1
python=$(readlink -f "${2:-$(command -v python3)}")
home=$("$python" -c 'import sys; print(sys.base_prefix)')
version=$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/fill" <<'H'
#!/bin/bash
# what mmdebstrap runs on the new system: root, home and version are its arguments
set -euo pipefail
root=$1 home=$2 version=$3
local=$root/usr/local
mkdir -p "$local/bin" "$local/lib"
cp -a "$home/bin/$version" "$local/bin/"
ln -s "$version" "$local/bin/python3"
ln -s python3 "$local/bin/python"
for library in "$home"/lib/lib"$version"*.so*; do
    [ ! -e "$library" ] || cp -a "$library" "$local/lib/"
done
tar -C "$home/lib" -c --exclude="$version/site-packages" --exclude="$version/test" \
    --exclude=__pycache__ --exclude='*.a' "$version" | tar -C "$local/lib" -x
mkdir -p "$local/lib/$version/site-packages"
chroot "$root" ldconfig
# a network that looks into traffic has an authority of its own, which this machine knows
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
chroot "$root" python3 -m ensurepip >/dev/null 2>&1
ln -s pip3 "$local/bin/pip"
H
chmod +x "$work/fill"
libraries=ca-certificates,libssl3,libffi8,libsqlite3-0,libbz2-1.0,liblzma5,libreadline8
libraries=$libraries,libncursesw6,libuuid1,zlib1g,netbase
mmdebstrap --quiet --variant=minbase --include="$libraries" \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook="$work/fill \"\$1\" '$home' $version" bookworm "$work/system.tar"
podman import --quiet --change 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin' \
    --change 'ENV LANG=C.UTF-8' --change 'CMD ["python3"]' "$work/system.tar" "$name" >/dev/null
