"""Objects as code, the audit log's verification and own telemetry of the whole binary."""

import re
import shutil
import subprocess
import time

import requests
import yaml

from harness import BINARY, wait_for

FILES = {
    "dashboards.yaml": "kind: dashboard\nname: ours\nspec: {title: Ours, rows: [1, 2]}\n---\nkind: saved_query\nname: up\nspec: {query: up}\n",
    "deep/roles.yml": "---\nkind: role\nname: ops\nspec: {permissions: [telemetry:read]}\n",
    "agents.yaml": "kind: agent\nname: default\nspec:\n  host: true\n  scrape: |\n    # ours\n    scrape_configs:\n    - job_name: a\n"
                   "      basic_auth: {username: u, password: hunter2}\n      static_configs: [{targets: ['127.0.0.1:1']}]\n",
    "notes.txt": "not YAML: [",
    ".hidden.yaml": "not: [",
}


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def run(*args, key=None, url=None):
    args = [str(BINARY), *map(str, args)]
    if url:
        args += ["--url", url]
    if key:
        args += ["--key", key]
    return subprocess.run(args, capture_output=True, text=True, timeout=60)


def admin_key(server, tenant="default"):
    done = run("token", "create", "code", "--scope", "admin", "--tenant", tenant, "--data", server.data)
    assert done.returncode == 0, done.stderr
    return re.search(r"bw_\S+", done.stdout).group(0)


def test_files_are_applied_exported_pruned_and_owned(fresh, tmp_path):
    server = fresh().start()
    key = admin_key(server)
    folder = write(tmp_path / "objects", FILES)

    def apply(*args, files=folder):
        done = run("apply", "-f", files, *args, key=key, url=server.url)
        return done.returncode, done.stdout + done.stderr

    path = server.url + "/api/v1/monitoring/objects/dashboard/"
    headers = {"Authorization": f"Bearer {key}"}
    assert requests.put(path + "mine", json={"title": "Mine"}, headers=headers, timeout=10).status_code == 200

    code, told = apply("--dry-run")
    assert code == 0 and "+ dashboard ours (dashboards.yaml)" in told and "+ role ops (deep/roles.yml)" in told, told
    assert "4 created, 0 changed, 0 deleted, 0 unchanged; nothing was changed" in told
    assert requests.get(path + "ours", headers=headers, timeout=10).status_code == 404
    assert apply()[0] == 0
    code, told = apply("--prune")
    assert code == 0 and told == "0 created, 0 changed, 0 deleted, 4 unchanged\n", told

    # An export holds no secret, and applied again it changes nothing of what is stored.
    done = run("export", "objects", "-o", tmp_path / "export", key=key, url=server.url)
    assert done.returncode == 0, done.stderr
    exported = "".join(path.read_text() for path in (tmp_path / "export").iterdir())
    assert "hunter2" not in exported and "masked secret" in exported
    names = [(one["kind"], one["name"]) for path in (tmp_path / "export").iterdir() for one in yaml.safe_load_all(path.read_text())]
    assert ("dashboard", "mine") in names and ("dashboard", "hosts") in names and ("role", "ops") in names
    assert run("export", "objects", "-o", tmp_path / "export", key=key, url=server.url).returncode == 1, "nothing is overwritten"
    code, told = apply("--dry-run", files=tmp_path / "export")
    assert code == 0 and "0 created, 0 changed, 0 deleted" in told, told
    everything = run("export", "objects", key=key, url=server.url).stdout
    assert len(list(yaml.safe_load_all(everything))) == len(names)
    assert apply()[0] == 0
    configuration = requests.get(server.url + "/api/v1/monitoring/agents/x/configuration", headers=headers, timeout=10)
    if configuration.status_code == 200:
        assert "hunter2" in configuration.text and "# ours" in configuration.text

    # What a file owns is refused elsewhere by its name, until it is released.
    for answer in (requests.put(path + "ours", json={}, headers=headers, timeout=10), requests.delete(path + "ours", headers=headers, timeout=10)):
        assert answer.status_code == 409 and "dashboards.yaml" in answer.text, answer.text
    (folder / "dashboards.yaml").write_text("kind: dashboard\nname: ours\nspec: {title: All, rows: [1]}\n")
    code, told = apply("--prune")
    assert code == 0 and '    spec.title: "Ours" -> "All"' in told and "- saved_query up" in told, told
    assert requests.get(path + "mine", headers=headers, timeout=10).status_code == 200, "what people made stays"
    done = run("apply", "--release", "dashboard/ours", key=key, url=server.url)
    assert done.returncode == 0 and "1 released" in done.stdout, done.stderr
    assert requests.put(path + "ours", json={}, headers=headers, timeout=10).status_code == 200


def test_hostile_files_are_refused_and_change_nothing(fresh, tmp_path):
    server = fresh().start()
    key = admin_key(server)
    good = "kind: dashboard\nname: good\nspec: {}\n"
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
    for name, text, want in [
        ("huge", "kind: dashboard\nname: h\nspec: {t: " + "x" * (5 << 20) + "}\n", "at most 4194304"),
        ("bomb", bomb, "bad.yaml, document 1"),
        ("deep", "[" * 100_000, "bad.yaml, document 1"),
        ("twice", good + "---\n" + good, "document 2: name: dashboard \"good\" is in"),
        ("kind", "kind: dashbord\nname: x\nspec: {}\n", "kind: \"dashbord\" is no kind: write one of dashboard,"),
        ("types", "kind: dashboard\nname: [1]\nspec: 7\n", "document 1: name: [1] is no name"),
        ("key", "kind: dashboard\nname: x\nspec: {a: 1, a: 2}\n", "is there twice"),
        ("empty name", "kind: dashboard\nname: ''\nspec: {}\n", "name: must not be empty"),
        ("pipeline", "kind: pipeline\nname: moon\nspec: {}\n", "bad.yaml, document 1"),
        ("binary", "\x00\x01", "bad.yaml"),
    ]:
        folder = write(tmp_path / name, {"a.yaml": good, "bad.yaml": text})
        done = run("apply", "-f", folder, key=key, url=server.url)
        assert done.returncode == 1 and want in done.stderr, (name, done.stderr[:500])
        left = requests.get(server.url + "/api/v1/monitoring/objects/dashboard/good", headers={"Authorization": f"Bearer {key}"}, timeout=10)
        assert left.status_code == 404, name
    assert server.process.poll() is None


def test_verification_of_the_audit_log_finds_what_was_tampered_with(fresh, tmp_path):
    server = fresh().start()
    key = admin_key(server)
    headers = {"Authorization": f"Bearer {key}"}
    for n in range(20):
        answer = requests.put(server.url + f"/api/v1/monitoring/objects/dashboard/d{n}", json={"n": n}, headers=headers, timeout=10)
        assert answer.status_code == 200

    def online(*args):
        return run("audit", "verify", *args, key=key, url=server.url)

    def offline(folder):
        return run("audit", "verify", "--offline", "--tenant", "default", "--data", folder)

    rows = lambda text: int(re.search(r"(\d+) rows fit", text).group(1))
    wait_for("rows of the audit log", lambda: online().returncode == 0 and rows(online().stdout) >= 20, 20)
    assert online("--tenant", "default", "--from", "1h", "--to", "0s").returncode == 0
    assert online("--tenant", "platform").returncode == 1, "a key is of one tenant"
    server.stop()
    good = offline(server.data)
    assert good.returncode == 0 and rows(good.stdout) >= 20, good.stderr

    segments = [path for path in server.data.rglob("*") if path.is_file() and "audit" in str(path.relative_to(server.data))]
    assert segments, list(server.data.rglob("*"))
    for tamper in ("flip", "remove"):
        copy = tmp_path / tamper
        shutil.copytree(server.data, copy)
        for segment in segments:
            path = copy / segment.relative_to(server.data)
            if tamper == "remove":
                path.unlink()
                continue
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 0x40
            path.write_bytes(data)
        bad = offline(copy)
        assert bad.returncode == 1, (tamper, bad.stdout)
        assert "audit" in bad.stderr, (tamper, bad.stderr)
    # Without the rows and without their files being listed the anchors still know of them.
    copy = tmp_path / "forgotten"
    copy.mkdir()
    for path in server.data.iterdir():
        if path.suffix in (".db", ".key") or path.name.endswith(("-wal", "-shm")) and path.is_file() or path.name == "tenants":
            (shutil.copytree if path.is_dir() else shutil.copy)(path, copy / path.name)
    bad = offline(copy)
    assert bad.returncode == 1 and re.search(r"rows 1 to \d+ are missing", bad.stderr), bad.stderr


def test_own_telemetry_moves_to_the_platform_tenant_and_stays(fresh):
    server = fresh(args=["--set", "host.enabled=false", "--set", "telemetry.interval=1s"]).start()
    names = ["default", "platform"]
    keys = {name: admin_key(server, name) for name in names}

    def newest(name):
        answer = requests.get(server.url + "/api/v1/query", params={"query": "max(timestamp(bellwether_uptime_seconds))"},
                              headers={"Authorization": f"Bearer {keys[name]}"}, timeout=10).json()
        result = answer["data"]["result"]
        return float(result[0]["value"][1]) if result else 0.0

    def logs(name):
        body = {"query": """SELECT count(*) FROM logs WHERE "service.name" = 'bellwether'"""}
        answer = requests.post(server.url + "/api/v1/sql", json=body, headers={"Authorization": f"Bearer {keys[name]}"}, timeout=10)
        return answer.json()["rows"][0][0] if answer.ok else 0

    wait_for("own metrics in default", lambda: newest("default") > 0, 20)
    assert newest("platform") == 0
    done = run("tenant", "create", "acme", "--admin", "boss@acme.test", "--data", server.data)
    assert done.returncode == 0, done.stderr
    wait_for("own metrics in platform", lambda: newest("platform") > 0, 40)
    before = newest("default")
    time.sleep(3)
    assert newest("default") == before, "it does not go to both"
    wait_for("own logs in platform", lambda: logs("platform") > 0, 60)
    acme = re.search(r"bw_\S+", done.stdout).group(0)
    keys["acme"] = acme
    wait_for("the tenant", lambda: requests.get(server.url + "/api/v1/query", params={"query": "1"},
             headers={"Authorization": f"Bearer {acme}"}, timeout=10).ok, 15)
    assert newest("acme") == 0
    shown = requests.get(server.url + "/api/v1/monitoring/objects/dashboard", headers={"Authorization": f"Bearer {acme}"}, timeout=10).json()
    assert [one["name"] for one in shown["items"]] == ["hosts", "logs", "services"]
    server.kill()
    server.start()
    restarted = time.time()
    wait_for("own metrics in platform after a restart", lambda: newest("platform") > restarted, 20)
    assert newest("default") == 0 or newest("default") <= before + 1
