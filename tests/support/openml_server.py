"""A loopback HTTP server that speaks OpenML's REST API for tasks made from ARFF files.

As a script, ``python tests/support/openml_server.py --data FOLDER --port 0`` serves six real tasks
(credit-g, kr-vs-kp, diabetes, segment, sick, soybean) under their official ids for 10-fold
cross-validation, with generated folds, and prints its URL.
"""

import argparse
import csv
import gzip
import hashlib
import re
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlparse
from xml.sax.saxutils import escape

import arff
import numpy as np

#: OpenML task ids (10-fold cross-validation) of files in the shared data.
REAL_TASKS = {
    31: "credit-g",
    3: "kr-vs-kp",
    37: "diabetes",
    36: "segment",
    3021: "sick",
    41: "soybean",
}
_NAMESPACE = 'xmlns:oml="http://openml.org/openml"'
_TYPES = {
    1: "Supervised Classification",
    2: "Supervised Regression",
    3: "Learning Curve",
    4: "Supervised Data Stream Classification",
    5: "Clustering",
}


@dataclass
class Served:
    """One data set with one task on it."""

    task_id: int
    data_id: int
    name: str
    content: str
    target: str
    type_id: int = 1
    measure: str = ""
    ignore: tuple[str, ...] = ()
    row_id: str = ""
    folds: int = 10
    format: str = "ARFF"
    default_target: str | None = None

    def __post_init__(self):
        sparse = self.format != "ARFF"
        document = arff.loads(self.content, return_type=arff.LOD if sparse else arff.DENSE)
        self.attributes, self.rows = document["attributes"], [] if sparse else document["data"]

    @property
    def labels(self):
        names = [name for name, _ in self.attributes]
        return [row[names.index(self.target)] for row in self.rows]


@dataclass
class Fault:
    """What goes wrong with an answer: html503, html200, xml500, truncate, corrupt, slow, reset."""

    kind: str
    times: int = 10**9
    seconds: float = 60.0


@dataclass
class State:
    served: list = field(default_factory=list)
    faults: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)


class OpenMLServer:
    """Serves until closed; ``faults`` maps an endpoint (task, data, features, download, splits) to a Fault."""

    def __init__(self, port=0):
        self.state = State()
        handler = type("Handler", (_Handler,), {"state": self.state})
        self._http = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    @property
    def faults(self):
        return self.state.faults

    @property
    def asked(self):
        """Endpoints asked for so far, in order."""
        return self.state.asked

    def fail(self, endpoint, kind, **options):
        self.state.faults[endpoint] = Fault(kind, **options)

    def add(self, content, target, **options):
        """Serve an ARFF text; returns its task id."""
        number = options.pop("task_id", 1000 + len(self.state.served))
        options.setdefault("data_id", 500 + len(self.state.served))
        options.setdefault("name", f"data-{number}")
        self.state.served.append(Served(number, content=content, target=target, **options))
        return number

    def add_real(self, folder, task_id):
        """Serve one of the real tasks from the shared data folder ``openml``."""
        name = REAL_TASKS[task_id]
        with (Path(folder) / "manifest.csv").open(encoding="utf-8", newline="") as file:
            row = next(r for r in csv.DictReader(file) if r["name"] == name)
        text = gzip.decompress((Path(folder) / row["file"]).read_bytes()).decode("utf-8")
        return self.add(
            text, row["target"], task_id=task_id, data_id=int(row["openml_data_id"]), name=name
        )

    def close(self):
        self.state.stop.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(5)


class _Handler(BaseHTTPRequestHandler):
    state: State
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        """Keep quiet."""

    def do_GET(self):
        endpoint, number = _route(urlparse(self.path).path)
        self.state.asked.append(endpoint)
        fault = self.state.faults.get(endpoint)
        if fault and fault.times > 0:
            fault.times -= 1
        else:
            fault = None
        if fault and fault.kind in {"html503", "html200", "reset"}:
            self._fail(fault)
            return
        if fault and fault.kind == "slow":
            self.state.stop.wait(fault.seconds)
        if fault and fault.kind == "xml500":
            self._send(500, _error(107, "Database connection error."))
            return
        key = "task_id" if endpoint in {"task", "splits"} else "data_id"
        served = next((s for s in self.state.served if getattr(s, key) == number), None)
        if served is None:
            code, message = (151, "Unknown task") if key == "task_id" else (111, "Unknown dataset")
            self._send(412, _error(code, message))
            return
        host = f"http://127.0.0.1:{self.server.server_port}"
        body = _DOCUMENTS[endpoint](served, host)
        if fault and fault.kind == "corrupt":
            body = body.replace("1", "7", 1) if endpoint != "download" else _corrupted(body)
        self._send(200, body, cut=bool(fault and fault.kind == "truncate"))

    def _fail(self, fault):
        if fault.kind == "reset":
            self.close_connection = True
            self.connection.close()
            return
        status = 503 if fault.kind == "html503" else 200
        self._send(
            status, "<html><head><title>Busy</title></head><body><p>Please wait</p></body></html>"
        )

    def _send(self, status, text, *, cut=False):
        body = gzip.compress(text.encode("utf-8"), mtime=0)
        self.send_response(status)
        self.send_header("Content-Type", "text/xml; charset=utf-8")
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body[: len(body) // 2] if cut else body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        if cut:
            self.close_connection = True


def _route(path):
    patterns = {
        "features": r"/api/v1/xml/data/features/(\d+)",
        "qualities": r"/api/v1/xml/data/qualities/(\d+)",
        "data": r"/api/v1/xml/data/(\d+)",
        "task": r"/api/v1/xml/task/(\d+)",
        "download": r"/data/download/(\d+)/.*",
        "splits": r"/api_splits/get/(\d+)/.*",
    }
    for endpoint, pattern in patterns.items():
        found = re.fullmatch(pattern, path)
        if found:
            return endpoint, int(found.group(1))
    return "unknown", -1


def _corrupted(text):
    """Change one value of the last row."""
    body, _, last = text.rstrip("\n").rpartition("\n")
    return f"{body}\n{last[:-1]}{'0' if last[-1] != '0' else '1'}\n"


def _error(code, message):
    return f"<oml:error {_NAMESPACE}><oml:code>{code}</oml:code><oml:message>{message}</oml:message></oml:error>"


def _task(served, host):
    url = f"{host}/api_splits/get/{served.task_id}/Task_{served.task_id}_splits.arff"
    measure = (
        '<oml:input name="evaluation_measures"><oml:evaluation_measures><oml:evaluation_measure>'
        f"{served.measure}</oml:evaluation_measure></oml:evaluation_measures></oml:input>"
        if served.measure
        else ""
    )
    return f"""<oml:task {_NAMESPACE}>
<oml:task_id>{served.task_id}</oml:task_id>
<oml:task_type_id>{served.type_id}</oml:task_type_id>
<oml:task_type>{_TYPES[served.type_id]}</oml:task_type>
<oml:input name="source_data"><oml:data_set>
<oml:data_set_id>{served.data_id}</oml:data_set_id>
<oml:target_feature>{escape(served.target)}</oml:target_feature>
</oml:data_set></oml:input>
<oml:input name="estimation_procedure"><oml:estimation_procedure>
<oml:id>1</oml:id><oml:type>crossvalidation</oml:type>
<oml:data_splits_url>{url}</oml:data_splits_url>
<oml:parameter name="number_repeats">1</oml:parameter>
<oml:parameter name="number_folds">{served.folds}</oml:parameter>
<oml:parameter name="percentage"></oml:parameter>
<oml:parameter name="stratified_sampling">true</oml:parameter>
</oml:estimation_procedure></oml:input>{measure}
</oml:task>"""


def _data(served, host):
    checksum = hashlib.md5(served.content.encode("utf-8")).hexdigest()
    default = served.target if served.default_target is None else served.default_target
    ignored = "".join(
        f"<oml:ignore_attribute>{escape(n)}</oml:ignore_attribute>" for n in served.ignore
    )
    row_id = (
        f"<oml:row_id_attribute>{escape(served.row_id)}</oml:row_id_attribute>"
        if served.row_id
        else ""
    )
    target = (
        f"<oml:default_target_attribute>{escape(default)}</oml:default_target_attribute>"
        if default
        else ""
    )
    return f"""<oml:data_set_description {_NAMESPACE}>
<oml:id>{served.data_id}</oml:id><oml:name>{escape(served.name)}</oml:name><oml:version>1</oml:version>
<oml:description>Served for tests.</oml:description><oml:format>{served.format}</oml:format>
<oml:upload_date>2014-04-06T23:21:47</oml:upload_date><oml:licence>Public</oml:licence>
<oml:url>{host}/data/download/{served.data_id}/{served.data_id}.arff</oml:url><oml:file_id>{served.data_id}</oml:file_id>
{target}{row_id}{ignored}
<oml:visibility>public</oml:visibility><oml:status>active</oml:status>
<oml:md5_checksum>{checksum}</oml:md5_checksum>
</oml:data_set_description>"""


def _features(served, host):
    parts = []
    for i, (name, kind) in enumerate(served.attributes):
        nominal = isinstance(kind, list)
        values = (
            "".join(f"<oml:nominal_value>{escape(v)}</oml:nominal_value>" for v in kind)
            if nominal
            else ""
        )
        type_name = "nominal" if nominal else ("string" if kind.upper() == "STRING" else "numeric")
        missing = sum(row[i] is None for row in served.rows)
        parts.append(
            f"<oml:feature><oml:index>{i}</oml:index><oml:name>{escape(name)}</oml:name>"
            f"<oml:data_type>{type_name}</oml:data_type>{values}"
            f"<oml:is_target>{str(name == served.target).lower()}</oml:is_target>"
            f"<oml:is_ignore>{str(name in served.ignore).lower()}</oml:is_ignore>"
            f"<oml:is_row_identifier>{str(name == served.row_id).lower()}</oml:is_row_identifier>"
            f"<oml:number_of_missing_values>{missing}</oml:number_of_missing_values></oml:feature>"
        )
    return f"<oml:data_features {_NAMESPACE}>{''.join(parts)}</oml:data_features>"


def _qualities(served, host):
    return (
        f"<oml:data_qualities {_NAMESPACE}><oml:quality><oml:name>NumberOfInstances</oml:name>"
        f"<oml:value>{len(served.rows)}.0</oml:value></oml:quality></oml:data_qualities>"
    )


def _splits(served, host):
    """Stratified folds: rows sorted by label, shuffled within, dealt out in turn."""
    rng = np.random.default_rng(served.task_id)
    order = rng.permutation(len(served.rows))
    labels = np.array([str(label) for label in served.labels], dtype=object)
    if served.type_id == 1:
        order = order[np.argsort(labels[order], kind="stable")]
    fold_of = np.empty(len(order), dtype=int)
    fold_of[order] = np.arange(len(order)) % served.folds
    lines = [
        "@RELATION splits",
        "@ATTRIBUTE type {TRAIN,TEST}",
        "@ATTRIBUTE rowid INTEGER",
        "@ATTRIBUTE repeat INTEGER",
        "@ATTRIBUTE fold INTEGER",
        "@DATA",
    ]
    for fold in range(served.folds):
        for row, own in enumerate(fold_of):
            lines.append(f"{'TEST' if own == fold else 'TRAIN'},{row},0,{fold}")
    return "\n".join(lines) + "\n"


_DOCUMENTS = {
    "task": _task,
    "data": _data,
    "features": _features,
    "qualities": _qualities,
    "download": lambda served, _: served.content,
    "splits": _splits,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="the shared data folder 'openml'")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    server = OpenMLServer(options.port)
    for task_id in REAL_TASKS:
        server.add_real(options.data, task_id)
    sys.stdout.write(f"{server.url}\n")
    sys.stdout.flush()
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        server.close()


if __name__ == "__main__":
    main()
