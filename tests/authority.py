"""Certificates of an authority of our own, made by openssl."""

import subprocess


def openssl(*args, **kwargs):
    done = subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True, timeout=30, **kwargs)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Authority:
    """An authority of our own, made by openssl."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.key, self.pem = folder / "ca.key", folder / "ca.pem"
        self.new_key(self.key)
        openssl("req", "-x509", "-new", "-key", self.key, "-subj", "/CN=test authority", "-days", "30", "-out", self.pem)

    @staticmethod
    def new_key(path):
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)

    def issue(self, name):
        key, pem, request = (self.folder / f"{name}.{end}" for end in ("key", "pem", "csr"))
        self.new_key(key)
        openssl("req", "-new", "-key", key, "-subj", f"/CN={name}", "-out", request)
        names = self.folder / "names"
        names.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        openssl("x509", "-req", "-in", request, "-CA", self.pem, "-CAkey", self.key, "-days", "20", "-extfile", names, "-out", pem)
        return pem, key
