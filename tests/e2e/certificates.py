"""Certificates for tests, made with the openssl command."""
import subprocess
from pathlib import Path

SERVER_NAMES = "DNS:localhost,DNS:tensord.test,IP:127.0.0.1,IP:::1"


def _openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=60)


class Authority:
    """A certificate authority in a directory of its own; `ca` is its certificate."""

    def __init__(self, directory, name="test authority"):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.ca, self._key, self._count = self.directory / "ca.crt", self.directory / "ca.key", 0
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                 "-subj", f"/CN={name}", "-keyout", self._key, "-out", self.ca)

    def issue(self, name, alternative_names, certificate, key, days=1, begin=None):
        """Writes a new key and a certificate of it, PEM, with the subject CN=name,O=Test Lab; without a name it has none.
        `alternative_names`: as OpenSSL's configuration has them; None: none. days=0: it ended in 2020. `begin`: a year to come."""
        self._count += 1
        request = self.directory / f"{self._count}.csr"
        extensions = self.directory / f"{self._count}.ext"
        extensions.write_text(f"subjectAltName={alternative_names}\n" if alternative_names else "basicConstraints=CA:FALSE\n")
        _openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                 "-subj", f"/CN={name}/O=Test Lab" if name else "/", "-keyout", key, "-out", request)
        if days > 0 and begin is None:
            _openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self._key, "-CAcreateserial",
                     "-extfile", extensions, "-days", str(days), "-out", certificate)
        else:
            year = 2020 if begin is None else begin
            self._issue_for(request, extensions, certificate, f"{year}0101000000Z", f"{year}0102000000Z")
        return certificate, key

    def _issue_for(self, request, extensions, certificate, begin, end):
        """`openssl x509` of Debian 12 makes none that has ended or has not begun; `openssl ca` does."""
        (self.directory / "index.txt").write_text("")
        (self.directory / "serial").write_text(f"{0x1000 + self._count:x}\n")
        config = self.directory / "ca.cnf"
        config.write_text(f"[ca]\ndefault_ca=d\n[d]\ndir={self.directory}\ndatabase=$dir/index.txt\nserial=$dir/serial\n"
                          f"new_certs_dir=$dir\ncertificate={self.ca}\nprivate_key={self._key}\ndefault_md=sha256\n"
                          "policy=p\n[p]\ncommonName=supplied\norganizationName=optional\n")
        _openssl("ca", "-batch", "-notext", "-config", config, "-in", request, "-extfile", extensions,
                 "-startdate", begin, "-enddate", end, "-out", certificate)

    def intermediate(self, directory, name="intermediate authority"):
        """Another authority, whose certificate this one has signed. It may issue none but leaves."""
        other = Authority(directory, name)
        request, extensions = other.directory / "ca.csr", other.directory / "ca.ext"
        extensions.write_text("basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\n")
        _openssl("req", "-new", "-key", other._key, "-subj", f"/CN={name}", "-out", request)
        _openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self._key, "-CAcreateserial", "-extfile", extensions,
                 "-days", "2", "-out", other.ca)
        return other

    def server(self, directory, name="server"):
        """(certificate, key) for a server on this machine."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        return self.issue(name, SERVER_NAMES, directory / "tls.crt", directory / "tls.key")

    def client(self, name, alternative_names=None):
        """(certificate, key) for a client."""
        return self.issue(name, alternative_names or f"DNS:{name}", self.directory / f"{name}.crt",
                          self.directory / f"{name}.key")
