"""An S3 server that keeps no bytes: what is left of an upload's time is the client's own.

Usage: python null_s3.py <port>

It knows uploads in parts, single puts, reads of an object's size and metadata, and listings of what was put. It proves
nothing about a client's correctness; real servers do that in the tests.
"""

import asyncio
import hashlib
import sys
import urllib.parse
from email.utils import formatdate

LISTED = '<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated>{}</ListBucketResult>'
PUT = "<Contents><Key>{}</Key><Size>{}</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
BEGUN = '<?xml version="1.0"?><InitiateMultipartUploadResult><UploadId>{}</UploadId></InitiateMultipartUploadResult>'
PARTS = '<?xml version="1.0"?><ListPartsResult><IsTruncated>false</IsTruncated>{}</ListPartsResult>'
PART = "<Part><PartNumber>{}</PartNumber><ETag>{}</ETag><Size>{}</Size></Part>"
DONE = '<?xml version="1.0"?><CompleteMultipartUploadResult><ETag>"0-1"</ETag></CompleteMultipartUploadResult>'
MISSING = '<?xml version="1.0"?><Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>'
GONE = '<?xml version="1.0"?><Error><Code>NoSuchUpload</Code><Message>no such upload</Message></Error>'


class Null:
    def __init__(self):
        self.objects = {}
        self.uploads = {}

    async def serve(self, reader, writer):
        try:
            while await self.one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def one(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        if headers.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        length = int(headers.get("content-length", 0))
        split = urllib.parse.urlsplit(target)
        query = dict(urllib.parse.parse_qsl(split.query, keep_blank_values=True))
        if headers.get("transfer-encoding"):
            raise ConnectionError("chunked bodies are not known here")
        tag = hashlib.md5(target.encode()).hexdigest()
        left = length
        while left:
            piece = await reader.read(min(left, 1 << 20))
            if not piece:
                raise ConnectionError("cut off")
            left -= len(piece)
        size = int(headers.get("x-amz-decoded-content-length", length))
        status, more, body = self.answer(method, split.path, query, headers, size, tag)
        writer.write(f"HTTP/1.1 {status}\r\nDate: {formatdate(usegmt=True)}\r\n".encode())
        for name, value in more.items():
            writer.write(f"{name}: {value}\r\n".encode())
        if "Content-Length" not in more:
            writer.write(f"Content-Length: {len(body)}\r\n".encode())
        writer.write(b"\r\n" + (b"" if method == "HEAD" else body))
        await writer.drain()
        return headers.get("connection", "").lower() != "close"

    def answer(self, method, path, query, headers, size, tag):
        meta = {name: value for name, value in headers.items() if name.startswith("x-amz-meta-")}
        if method == "POST" and "uploads" in query:
            number = f"upload-{len(self.uploads)}"
            self.uploads[number] = (path, meta, {})
            return "200 OK", {}, BEGUN.format(number).encode()
        if "uploadId" in query:
            return self.upload(method, query, size, tag)
        if method == "PUT":
            self.objects[path] = (size, meta)
            return "200 OK", {"ETag": f'"{tag}"'}, b""
        if method == "DELETE":
            self.objects.pop(path, None)
            return "204 No Content", {}, b""
        if path.count("/") < 2 or path.endswith("/"):
            return self.listing(path, query)
        if path not in self.objects:
            return "404 Not Found", {}, MISSING.encode()
        size, meta = self.objects[path]
        known = {"Content-Length": size, "ETag": '"0-1"', "Last-Modified": formatdate(usegmt=True)}
        return "200 OK", known | meta, b""

    def upload(self, method, query, size, tag):
        found = self.uploads.get(query["uploadId"])
        if found is None:
            return "404 Not Found", {}, GONE.encode()
        path, meta, parts = found
        if method == "PUT":
            parts[int(query["partNumber"])] = (f'"{tag}"', size)
            return "200 OK", {"ETag": f'"{tag}"'}, b""
        if method == "POST":
            self.objects[path] = (sum(size for _, size in parts.values()), meta)
            del self.uploads[query["uploadId"]]
            return "200 OK", {}, DONE.encode()
        if method == "DELETE":
            del self.uploads[query["uploadId"]]
            return "204 No Content", {}, b""
        told = "".join(PART.format(number, tag, size) for number, (tag, size) in sorted(parts.items()))
        return "200 OK", {}, PARTS.format(told).encode()

    def listing(self, path, query):
        bucket = "/" + path.strip("/").split("/")[0] + "/"
        wanted = bucket + query.get("prefix", "")
        found = [(key, size) for key, (size, _) in sorted(self.objects.items()) if key.startswith(wanted)]
        told = "".join(PUT.format(key.removeprefix(bucket), size) for key, size in found)
        return "200 OK", {}, LISTED.format(told).encode()


async def main():
    server = await asyncio.start_server(Null().serve, "127.0.0.1", int(sys.argv[1]), limit=1 << 20)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
