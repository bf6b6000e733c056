#!/bin/sh
# What `cargo xtask package --boot` runs in a VM whose init is systemd: the package is installed, started, upgraded, removed and purged, and a
# leak goes from the service to Prometheus, from its alert to a bundle of the watch, and to each panel of the dashboard, all as contrib/ has
# it; the service also lives through a day's worth of traffic. Each step says what it saw. /packages has first.deb and second.deb.
set -eu

metrics() { curl --silent --fail --max-time 30 http://127.0.0.1:9435/metrics; }
has() { metrics | grep -q -- "$1"; }
contrib=/usr/share/doc/memtrace/contrib
step() { echo "step: $*"; }
fail() { echo "failed: $*"; exit 1; }
# An emulated machine is slow: what comes by itself is waited for, not timed.
until_true() {
	n=0
	until "$@"; do
		n=$((n + 1))
		[ $n -lt 200 ] || fail "never: $*"
		sleep 1
	done
}
capabilities() {
	grep -E '^(Uid|CapPrm|CapEff|CapBnd|NoNewPrivs|Seccomp):' "/proc/$1/status"
}
pid_of() { systemctl show --property MainPID --value "$1"; }
end() {
	code=$?
	[ $code = 0 ] || journalctl --no-pager --lines 100 --output short
	echo "vm-outcome: exit $code"
	sync
	systemctl poweroff --force --force
}
trap end EXIT

step installed
dpkg --install /packages/first.deb
for unit in memtrace.service memtrace.socket memtrace-watch.service; do
	! systemctl --quiet is-enabled $unit || fail "$unit is enabled"
	! systemctl --quiet is-active $unit || fail "$unit runs"
done

step started
sed -i 's/^#series = 200/series = 100/' /etc/memtrace.toml
sed -i 's/^MEMTRACE_WATCH_OPTIONS=.*/MEMTRACE_WATCH_OPTIONS="--webhook 9436 --for 20s"/' /etc/default/memtrace-watch
systemctl start memtrace memtrace-watch
until_true has memtrace_events_total
capabilities "$(pid_of memtrace)"
stat -c %U "/proc/$(pid_of memtrace)"
[ "$(stat -c %u "/proc/$(pid_of memtrace)")" != 0 ] || fail "it runs as root"

step configuration
echo 'serise = 1' >>/etc/memtrace.toml
! systemctl reload memtrace || fail "a wrong configuration is taken"
systemctl --quiet is-active memtrace || fail "a wrong configuration ended it"
sed -i '/^serise/d' /etc/memtrace.toml
systemctl reload memtrace
has 'memtrace_config_last_reload_successful 1' || fail "the configuration was not read again"

step scraped
# More often than elsewhere, and an alert fires as soon as what it looks at is so: how long that has to be, promtool tests.
sed 's/_interval: 30s/_interval: 5s/' $contrib/prometheus/prometheus.yml >/etc/prometheus/prometheus.yml
grep -v '^ *for: ' $contrib/prometheus/alerts.yml >/etc/prometheus/alerts.yml
cp $contrib/alertmanager/alertmanager.yml /etc/prometheus/alertmanager.yml
# The machine has no network in which there could be others.
echo 'ARGS="--cluster.listen-address="' >/etc/default/prometheus-alertmanager
echo '127.0.0.1 localhost' >/etc/hosts
systemctl start prometheus-alertmanager prometheus
systemctl --quiet is-active memtrace-watch || fail "the watch does not run"
ask() { curl --silent --fail --max-time 30 --get --data-urlencode "query=$1" http://localhost:9090/api/v1/query; }
show() { ask "$1" && echo; }
answers() { ask "$1" | grep -q '"value":'; }
until_true answers 'up{job="memtrace"} == 1'
show 'up{job="memtrace"}'

step leaked
perl -e '$^F = 1; while (1) { for (1 .. 40) { open($held[@held], "<", "/etc/passwd") or sleep 600 } select(undef, undef, undef, 0.1) }' &
leak=$!
alert='ALERTS{alertname="MemtraceLeak",alertstate="firing",cache="filp",comm="perl"}'
until_true answers "$alert"
show "$alert"
until_true answers 'memtrace_leak_growth_bytes_per_second{cache="filp",comm="perl",is="leak"}'
metrics | grep -E '^memtrace_(leak_growth_bytes_per_second|outstanding_objects\{cache="filp",comm="perl")'
bundles() { ls /var/lib/memtrace/ | grep -q -- '-leak-'; }
until_true bundles
ls -l /var/lib/memtrace/
journalctl --no-pager --unit memtrace-watch --output cat
journalctl --no-pager --unit memtrace-watch --output cat | grep -q 'the alert MemtraceLeak fires' || fail "it was not the alert"

step "shown on the dashboard"
# As Grafana asks where all is chosen.
sed -n 's/^ *"expr": "\(.*\)",\{0,1\}$/\1/p' $contrib/grafana/memtrace.json |
	sed 's/\\"/"/g; s/\$instance/.*/g; s/\$cache/.*/g; s/\$__rate_interval/1m/g' >/tmp/expressions
[ "$(wc -l </tmp/expressions)" -gt 20 ] || fail "the dashboard has $(wc -l </tmp/expressions) expressions"
while read -r expression; do
	until_true answers "$expression"
done </tmp/expressions
show 'topk(3, sum by (comm) (memtrace_outstanding_bytes{cache="filp"}))'
show 'count(ALERTS{alertstate="firing"})'
kill $leak
resolved() { ! answers "$alert"; }
until_true resolved

step "a day's traffic"
# Three million events: what a host makes in a day that makes 35 in a second. Commands come and go by the thousand, each with a name of its own.
# It leaves a CPU to who asks: the service is the last of those that want one.
perl -e 'my $n = 0; while (1) { for (1 .. 200) { open(my $f, "<", "/etc/passwd"); -e "/tmp/none-$$-" . $n++ }
	my $job = fork; if ($job == 0) { $0 = "job-" . $n; open(my $f, "<", "/etc/passwd") for 1 .. 20; exit 0 } waitpid($job, 0) }' &
traffic=$!
events() { metrics | sed -n 's/^memtrace_events_total \([0-9]*\).*/\1/p'; }
first=
until [ -n "$first" ]; do first=$(events); done
n=0
until [ "$(events)" -gt $((first + 3000000)) ] 2>/dev/null; do
	n=$((n + 1))
	[ $n -lt 900 ] || fail "too few events: $(events) after $first"
	sleep 2
done
kill $traffic
[ "$(systemctl show --property NRestarts --value memtrace)" = 0 ] || fail "it was started again"
series=$(metrics | grep -c '^memtrace_outstanding_bytes{')
[ "$series" -le 101 ] || fail "$series series, and 100 are allowed"
metrics | grep -E '^memtrace_(events|lost_events|folded_series|self_)' || true
show 'avg_over_time(up{job="memtrace"}[10m])'
systemctl stop prometheus prometheus-alertmanager
echo "$series series; $(grep VmRSS "/proc/$(pid_of memtrace)/status")"

step upgraded
before=$(pid_of memtrace)
dpkg --install /packages/second.deb
systemctl --quiet is-active memtrace memtrace-watch || fail "the upgrade stopped it"
[ "$(pid_of memtrace)" != "$before" ] || fail "the old one still runs"
until_true has memtrace_events_total
grep -q '^series = 100' /etc/memtrace.toml || fail "the upgrade lost a setting"

step removed
dpkg --remove memtrace
for unit in memtrace.service memtrace-watch.service; do
	! systemctl --quiet is-active $unit || fail "$unit still runs"
done
[ -e /etc/memtrace.toml ] || fail "its settings went before the purge"
dpkg --install /packages/second.deb
systemctl start memtrace.socket
! systemctl --quiet is-active memtrace || fail "it runs before it is asked"
metrics >/dev/null || true
until_true has memtrace_events_total
dpkg --install /packages/second.deb
systemctl --quiet is-active memtrace.socket || fail "an upgrade closed the socket"
until_true has memtrace_events_total

step purged
dpkg --purge memtrace
! systemctl --quiet is-active memtrace.socket || fail "the socket is still there"
for path in /etc/memtrace.toml /etc/default/memtrace-watch /var/lib/memtrace /var/lib/private/memtrace /usr/bin/memtrace; do
	[ ! -e $path ] || fail "$path is still there"
done
step done
