-- name: insert_org
INSERT INTO orgs (name, created_at) VALUES (:name, :created_at) ON CONFLICT DO NOTHING RETURNING id;

-- name: find_org
SELECT id, name, created_at FROM orgs WHERE name = :name;

-- name: list_orgs
SELECT id, name, created_at FROM orgs WHERE name > :after ORDER BY name LIMIT :limit;
