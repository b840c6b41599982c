"""Makes the benchmark's rows: nested experience events, the same for everybody.

Usage: python generate.py <folder> [rows] [files]   (duckdb; 800,000 rows in 8 files of snappy Parquet by default)

Every value is a hash of the row's number, so that neither the machine nor the number of files changes the rows.
"""

import os
import sys

import duckdb

# r(salt): 0 .. 2^64, a hash of the row and the salt.
ROWS = """
WITH numbered AS (SELECT i, {hashes} FROM range({first}, {last}) AS t(i))
SELECT
  md5(r1::varchar) AS _id,
  TIMESTAMPTZ '2025-01-01 00:00:00+00' + to_microseconds((r2 % 31536000000000)::bigint) AS timestamp,
  ['web.webpagedetails.pageViews', 'commerce.productViews', 'commerce.purchases', 'web.webinteraction.linkClicks'][(r3 % 4)::int + 1] AS eventType,
  map {{
    'ECID': [{{'id': (r4 % 100000000000000000)::varchar || (r5 % 100000000000000000)::varchar, 'primary': true}}],
    'email': CASE WHEN r6 % 3 = 0 THEN [{{'id': md5(r6::varchar) || '@example.com', 'primary': false}}] END
  }} AS identityMap,
  {{
    'webPageDetails': {{
      'name': 'Page ' || (r7 % 500)::varchar,
      'URL': 'https://shop.example.com/category/' || (r7 % 500)::varchar || '/item/' || (r8 % 20000)::varchar || '?session=' || md5(r9::varchar),
      'pageViews': {{'value': 1.0::double}},
      'isHomePage': r7 % 500 = 0
    }},
    'webReferrer': CASE WHEN r10 % 2 = 0 THEN {{'URL': 'https://search.example.com/?q=term+' || (r10 % 3000)::varchar, 'type': 'search'}} END
  }} AS web,
  CASE WHEN r3 % 4 IN (1, 2) THEN {{
    'order': CASE WHEN r3 % 4 = 2 THEN {{
      'purchaseID': md5(r11::varchar),
      'currencyCode': ['EUR', 'USD', 'GBP', 'JPY'][(r11 % 4)::int + 1],
      'priceTotal': ((r12 % 100000000) / 10000)::decimal(18,4)
    }} END,
    'productViews': {{'value': 1.0::double}}
  }} END AS commerce,
  list_transform(range(0, (r13 % 4)::int), lambda k: {{
    'SKU': 'SKU-' || (hash(r13 + k) % 20000)::varchar,
    'name': 'Product "' || (hash(r13 + k) % 20000)::varchar || '" größe ' || (k::varchar),
    'quantity': (hash(r13 + k) % 5)::int + 1,
    'priceTotal': ((hash(r14 + k) % 1000000) / 100)::double,
    'discount': CASE WHEN hash(r14 + k) % 3 = 0 THEN ((hash(r14 + k) % 1000) / 1000)::float END
  }}) AS productListItems,
  {{
    'browserDetails': {{
      'userAgent': 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/' || (100 + r15 % 40)::varchar || '.0.0.0 Safari/537.36',
      'acceptLanguage': ['de', 'en', 'fr', 'ja', 'pt-BR'][(r15 % 5)::int + 1],
      'viewportWidth': (320 + r15 % 2000)::int
    }},
    'ipV4': (r16 % 223 + 1)::varchar || '.' || (r16 // 256 % 256)::varchar || '.' || (r16 // 65536 % 256)::varchar || '.' || (r16 // 16777216 % 256)::varchar
  }} AS environment,
  {{
    'geo': {{
      'latitude': (r17 % 180000000)::double / 1000000 - 90,
      'longitude': (r18 % 360000000)::double / 1000000 - 180,
      'city': ['Berlin', 'São Paulo', '東京', 'New York', 'Zürich'][(r18 % 5)::int + 1],
      'countryCode': ['DE', 'BR', 'JP', 'US', 'CH'][(r18 % 5)::int + 1]
    }},
    'localTime': TIMESTAMP '2025-01-01 00:00:00' + to_milliseconds((r2 // 1000 % 31536000000)::bigint)
  }} AS placeContext,
  {{'eVar1': md5(hash(r15)::varchar), 'eVar2': md5(hash(r16)::varchar), 'eVar3': CASE WHEN r17 % 5 > 0 THEN md5(hash(r17)::varchar) END}} AS customDimensions,
  unhex(md5(r19::varchar)) AS payload,
  (DATE '2025-01-01' + (r2 // 86400000000 % 365)::int) AS day,
  CASE WHEN r20 % 4 = 0 THEN list_transform(range(0, (r20 % 5)::int), lambda k: 'segment-' || (hash(r20 + k) % 200)::varchar) END AS segments,
  (r20 % 1000)::smallint AS score,
  ((r19 % 1000000) / 1000000)::float AS propensity
FROM numbered
"""


def main():
    folder = sys.argv[1]
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 800_000
    files = int(sys.argv[3]) if len(sys.argv) > 3 else 8
    os.makedirs(folder, exist_ok=True)
    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    database.execute("SET preserve_insertion_order = true")
    hashes = ", ".join(f"hash(i * 100 + {salt}) AS r{salt}" for salt in range(1, 21))
    for number in range(files):
        first, last = rows * number // files, rows * (number + 1) // files
        query = ROWS.format(hashes=hashes, first=first, last=last)
        path = os.path.join(folder, f"events-{number:05}.parquet")
        database.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION snappy)")


if __name__ == "__main__":
    main()
