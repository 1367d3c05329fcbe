"""The few answers of the hub that a download needs, on this machine."""

import hashlib
import http.server
import json

REVISION = "0123456789abcdef0123456789abcdef01234567"  # of org/name


class HubHandler(http.server.BaseHTTPRequestHandler):
    """Serves `files` of the data set org/name; `asked` has the paths; `failures` are statuses of
    the next answers about the path that ends in `failing`.
    """

    def do_GET(self):
        self._answer(body=True)

    def do_HEAD(self):
        self._answer(body=False)

    def _answer(self, body):
        data = self.server.files
        self.server.asked.append(self.path)
        if self.server.failures and self.path.split("?")[0].endswith(self.server.failing):
            status = self.server.failures.pop(0)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        headers = {"X-Repo-Commit": REVISION}
        bare = self.path.split("?")[0] == "/api/datasets/org/name"
        if bare or self.path.startswith(f"/api/datasets/org/name/revision/{REVISION}"):
            siblings = [{"rfilename": name} for name in data]
            content = json.dumps({"id": "org/name", "sha": REVISION, "siblings": siblings})
            content = content.encode()
            headers["Content-Type"] = "application/json"
        elif self.path.startswith(f"/api/datasets/org/name/tree/{REVISION}"):
            tree = [
                {"type": "file", "path": name, "size": len(b), "oid": hashlib.sha1(b).hexdigest()}
                for name, b in data.items()
            ]
            content = json.dumps(tree).encode()
            headers["Content-Type"] = "application/json"
        elif (name := self.path.removeprefix(f"/datasets/org/name/resolve/{REVISION}/")) in data:
            content = data[name]
            headers["ETag"] = f'"{hashlib.sha1(content).hexdigest()}"'
        else:
            self.send_response(404)
            known = self.path.startswith("/api/datasets/org/name/")
            self.send_header("X-Error-Code", "RevisionNotFound" if known else "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        for key, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(key, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_):
        pass
