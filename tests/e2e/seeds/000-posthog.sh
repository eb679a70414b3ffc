curl -X POST http://localhost:8000/ingest/posthog/webhook?project_id=test \
  -H "Content-Type: application/json" \
  -d '{
    "data": {
      "event": "$exception",
      "distinct_id": "user-123",
      "properties": {"$exception_message": "Test error"},
      "timestamp": "2024-01-15T10:30:00Z"
    }
  }'
