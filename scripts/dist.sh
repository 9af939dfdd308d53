#!/usr/bin/env bash
# Makes target/dist: a tarball, a .deb and the unit, from a release build.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/ui.sh
cargo build --release -p bellwether
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
arch=$(dpkg --print-architecture 2>/dev/null || uname -m)
out=target/dist
rm -rf $out && mkdir -p $out
name=bellwether-$version-linux-$arch

mkdir -p "$out/$name"
cp target/release/bellwether README.md CHANGELOG.md LICENSE packaging/bellwether.toml packaging/bellwether.service "$out/$name/"
strip "$out/$name/bellwether"
tar -C $out -czf "$out/$name.tar.gz" "$name"

root=$out/deb
install -D -m 755 "$out/$name/bellwether" $root/usr/bin/bellwether
install -D -m 644 packaging/bellwether.service $root/lib/systemd/system/bellwether.service
install -D -m 640 packaging/bellwether.toml $root/etc/bellwether/bellwether.toml
install -D -m 644 LICENSE $root/usr/share/doc/bellwether/copyright
mkdir -p $root/DEBIAN
echo /etc/bellwether/bellwether.toml > $root/DEBIAN/conffiles
cat > $root/DEBIAN/control <<CONTROL
Package: bellwether
Version: $version
Architecture: $arch
Maintainer: The Bellwether authors <bellwether@localhost>
Section: admin
Priority: optional
Depends: libc6 (>= 2.34), libgcc-s1
Installed-Size: $(du -sk $root/usr | cut -f1)
Description: observability platform in one binary
 Metrics, logs, traces, errors, health checks, alerts and dashboards over open protocols.
CONTROL
dpkg-deb --build --root-owner-group $root "$out/bellwether_${version}_$arch.deb" >/dev/null
rm -rf $root

# The unit names /usr/bin/bellwether, which this machine need not have: check it with the built one in its place.
check=$(mktemp -d)
sed "s#/usr/bin/bellwether#$PWD/$out/$name/bellwether#" packaging/bellwether.service > "$check/bellwether.service"
command -v systemd-analyze >/dev/null || { . scripts/lib.sh; need systemd-analyze systemd; install_missing; }
systemd-analyze verify --man=no "$check/bellwether.service"
rm -rf "$check"
(cd $out && sha256sum *.tar.gz *.deb > SHA256SUMS)
ls -l $out
