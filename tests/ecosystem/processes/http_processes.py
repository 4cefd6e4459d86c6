"""A web server in a process of its own, asked by threads and by a pool of processes."""

import http.server
import json
import multiprocessing
import urllib.error
import urllib.request
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        known = self.path.startswith("/page/")
        body = json.dumps({"path": self.path, "length": len(self.path)}).encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


def serve(connection):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    connection.send(server.server_address[1])
    server.serve_forever()


def check(url):
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.status, json.load(answer)["length"]
    except urllib.error.HTTPError as e:
        return e.code, e.reason


if __name__ == "__main__":
    receive, send = multiprocessing.Pipe(False)
    server = multiprocessing.Process(target=serve, args=(send,), daemon=True)
    server.start()
    root = f"http://127.0.0.1:{receive.recv()}"
    urls = [f"{root}/page/{n}" for n in range(30)] + [f"{root}/nothing"]
    with ThreadPoolExecutor(5) as threads, ProcessPoolExecutor(2) as processes:
        by_threads, by_processes = list(threads.map(check, urls)), list(processes.map(check, urls))
    print(by_threads == by_processes, by_threads[0], by_threads[29], by_threads[30])
    server.terminate()
    server.join()
    print(server.exitcode)
