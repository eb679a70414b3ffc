curl -X POST "http://localhost:8000/ingest/splunk/webhook?project_id=test&token=YOUR_TOKEN" \
  -H "Content-Type: application/json" \
  -d '{
    "result": {"_raw": "ERROR: test failure", "_time": "1705315800"},
    "search_name": "Test Alert",
    "sid": "test-123"
  }'
