curl -X POST http://localhost:8000/ingest/splunk/webhook \
  -H "Content-Type: application/json" \
  -d '{
  "result": {
    "_raw": "<raw log line>",
    "_time": "1705315800",
    "host": "server-1",
    "source": "/var/log/app.log",
    "sourcetype": "app_logs"
  },
  "sid": "scheduler__admin__search__xxx",
  "search_name": "API Errors > 10",
  "results_link": "https://splunk.internal/app/search?sid=..."
}'
