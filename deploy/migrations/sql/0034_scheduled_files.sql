-- Where a schedule's files are to appear on the SFTP server, kept until they are published; '': nowhere.
SET ROLE waybill_owner;
ALTER TABLE delivery.publications ADD COLUMN sftp_folder text NOT NULL DEFAULT '';
RESET ROLE;
