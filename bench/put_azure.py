"""Uploads a folder's files as a program that uses Azure's own library would: `put_azure.py <folder> <container> <path>`.

The connection string is in BENCH_STRING.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

from azure.storage.blob import BlobServiceClient


def main():
    folder, container, path = sys.argv[1:]
    service = BlobServiceClient.from_connection_string(os.environ["BENCH_STRING"], connection_verify=os.environ["BENCH_CA"])

    def put(name):
        with open(os.path.join(folder, name), "rb") as file:
            service.get_blob_client(container, f"{path}/{name}").upload_blob(file, max_concurrency=2)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, sorted(os.listdir(folder))))


if __name__ == "__main__":
    main()
