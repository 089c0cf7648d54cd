"""Contexts of a kubeconfig: their names, and signing in with what they say."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from higgsdemo.errors import CredentialsError, UsageError, nearest

IN_CLUSTER = "in-cluster"  # not a context: the service account of the pod this runs in
_HINT = "name a kubeconfig in KUBECONFIG, or make clusters: higgsdemo clusters-create --help"
_loading = threading.Lock()  # the official package logs what goes wrong through the root logger


def context_names(kubeconfig: Path | None = None) -> tuple[str, ...]:
    """Return the names of the contexts. Raises UsageError where there is no kubeconfig."""
    merged = _merged(kubeconfig)
    return tuple(str(each["name"]) for each in merged.value["contexts"])


def load_login(context: str, kubeconfig: Path | None = None) -> Any:
    """Return a `kubernetes.client.Configuration` for a context: server, trust, credentials.

    Tokens, token files, client certificates and exec plugins (cloud providers) work as in
    kubectl. Nothing is sent. Raises UsageError, with the nearest names, for an unknown context,
    CredentialsError where an exec plugin gives no credentials.
    """
    from kubernetes.client import Configuration
    from kubernetes.config import ConfigException, load_incluster_config
    from kubernetes.config.kube_config import KubeConfigLoader

    configuration = Configuration()
    if context == IN_CLUSTER:
        try:
            load_incluster_config(client_configuration=configuration)
        except ConfigException as error:
            raise UsageError(
                f"{IN_CLUSTER!r} is for programs that run in a pod", why=str(error)
            ) from error
        return configuration
    merged = _merged(kubeconfig)
    names = [str(each["name"]) for each in merged.value["contexts"]]
    place = _place(kubeconfig)
    if context not in names:
        raise UsageError(
            f"there is no context {context!r}",
            where=place,
            nearest=nearest(context, names),
            hint=f"there are: {', '.join(names)}" if names else _HINT,
        )
    with _words_of_loader() as words:
        try:
            loader = KubeConfigLoader(merged, active_context=context, config_base_path=None)
            loader.load_and_set(configuration)
        except (ConfigException, OSError, KeyError, TypeError, ValueError) as error:
            raise UsageError(
                f"context {context!r} cannot be used", why=str(error), where=place
            ) from error
    user = loader.current_context["context"].get("user")
    if words and not configuration.api_key and not configuration.cert_file:
        raise CredentialsError(
            f"no credentials for context {context!r}",
            why="; ".join(words),
            where=f"{place}, user {user!r}",
            hint="sign in with the tool of your provider, then try again",
        )
    return configuration


def _paths(kubeconfig: Path | None) -> list[Path]:
    if kubeconfig is not None:
        return [kubeconfig]
    named = [each for each in os.environ.get("KUBECONFIG", "").split(os.pathsep) if each]
    return [Path(each).expanduser() for each in named] or [Path.home() / ".kube" / "config"]


def _place(kubeconfig: Path | None) -> str:
    return os.pathsep.join(str(path) for path in _paths(kubeconfig))


def _merged(kubeconfig: Path | None) -> Any:
    """Return the merged files as the official package holds them."""
    from kubernetes.config import ConfigException
    from kubernetes.config.kube_config import KubeConfigMerger

    paths = _paths(kubeconfig)
    if not any(path.is_file() for path in paths):
        raise UsageError("there is no kubeconfig", where=_place(kubeconfig), hint=_HINT)
    try:
        merged = KubeConfigMerger(_place(kubeconfig)).config
        for each in merged.value["contexts"]:
            each["name"], each["context"]["cluster"]
    except OSError as error:
        raise UsageError(
            "cannot read the kubeconfig",
            why=error.strerror or str(error),
            where=str(error.filename or _place(kubeconfig)),
        ) from error
    except (ConfigException, yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise UsageError("not a kubeconfig", why=why, where=_place(kubeconfig)) from error
    return merged


@contextmanager
def _words_of_loader() -> Iterator[list[str]]:
    """Collect what the official package only logs: why an exec plugin gave no credentials."""
    words: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            words.append(record.getMessage())

    with _loading:
        handler = Collect(logging.ERROR)
        logging.getLogger().addHandler(handler)
        try:
            yield words
        finally:
            logging.getLogger().removeHandler(handler)
