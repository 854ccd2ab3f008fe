"""Certificates of simulated hosts: given, or made for the time being."""

import dataclasses
import pathlib
import shutil
import ssl
import subprocess
import tempfile
import weakref

from aggregates_ext.xensim.plan import described
from aggregates_ext.xensim.plan import topology as topologies

DAYS = '3650'


class Identities:
    """What the hosts of one simulator show to their clients."""

    def __init__(self) -> None:
        self._directory: pathlib.Path | None = None
        self._made = 0

    def complete(self, spec: topologies.Host, where: str) -> topologies.Host:
        """A host with the files it needs; they are tried at once."""
        if not spec.tls:
            return spec
        if not spec.tls_certificate and not spec.tls_key:
            spec = self._make(spec, where)
        for field in ('tls_certificate', 'tls_key'):
            path = getattr(spec, field)
            if not path:
                raise described.TopologyError(f'{where}.{field}: missing')
            if not pathlib.Path(path).is_file():
                raise described.TopologyError(
                    f'{where}.{field}: there is no file {path}'
                )
        try:
            context(spec)
        except ssl.SSLError as exc:
            raise described.TopologyError(
                f'{where}.tls_certificate: does not fit tls_key: {exc}'
            ) from exc
        return spec

    def renew(self, spec: topologies.Host) -> topologies.Host:
        """A host whose certificates were erased, as an eject does.

        See xapi#eject-destroys.

        Without the program ``openssl`` it keeps the one it has.
        """
        if not spec.tls or shutil.which('openssl') is None:
            return spec
        return self._make(spec, f'host {spec.name}')

    def _make(self, spec: topologies.Host, where: str) -> topologies.Host:
        """A self-signed certificate, as a host has after its installation."""
        program = shutil.which('openssl')
        if program is None:
            raise described.TopologyError(
                f'{where}.tls_certificate: missing, and there is no program'
                ' openssl which could make one'
            )
        if self._directory is None:
            self._directory = pathlib.Path(tempfile.mkdtemp('-xensim'))
            weakref.finalize(self, shutil.rmtree, self._directory, True)
        self._made += 1
        certificate = self._directory / f'{spec.uuid}-{self._made}.crt'
        key = certificate.with_suffix('.key')
        names = f'subjectAltName=IP:127.0.0.1,DNS:localhost,IP:{spec.address}'
        command = [program, 'req', '-x509', '-newkey', 'ec']
        command += ['-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
        command += ['-days', DAYS, '-subj', f'/CN={spec.address}']
        command += ['-addext', names, '-out', str(certificate)]
        command += ['-keyout', str(key)]
        made = subprocess.run(  # noqa: S603 - a list, of checked values
            command, capture_output=True, text=True, check=False
        )
        if made.returncode:
            raise described.TopologyError(
                f'{where}.tls_certificate: openssl made none: {made.stderr}'
            )
        return dataclasses.replace(
            spec, tls_certificate=str(certificate), tls_key=str(key)
        )


def context(spec: topologies.Host) -> ssl.SSLContext | None:
    """The server side of TLS; None for a host without it."""
    if not spec.tls:
        return None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(spec.tls_certificate, spec.tls_key)
    return made
