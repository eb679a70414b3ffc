curl -X POST http://localhost:8000/ingest/sentry?project_id=test \
  -H "Content-Type: application/json" \
  -d '{
    "action": "created",
    "data": {
      "issue": {"id": "123", "short_id": "PROJ-123"},
      "event": {"event_id": "abc", "title": "Test error"}
    }
  }'
