import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.lit;

import com.fasterxml.jackson.core.json.JsonWriteFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.StructField;

/**
 * Reads Parquet files. For each a line of JSON with its columns and Spark's types of them, in how many pieces it was read, and how many rows Spark finds by the
 * least and by the greatest value of the first column of numbers, of dates and of times, and by there being none in the first of each type with such rows;
 * and a line for each row, an array of values.
 */
public final class ReadParquet {
    private static final ObjectMapper JSON = JsonMapper.builder()
            .enable(JsonWriteFeature.ESCAPE_NON_ASCII)
            .disable(JsonWriteFeature.WRITE_NAN_AS_STRINGS)
            .build();
    private static final Set<String> ORDERED = Set.of("bigint", "double", "date", "timestamp");

    public static void main(String[] paths) throws Exception {
        SparkSession spark = SparkSession.builder()
                .master("local[1]")
                .config("spark.ui.enabled", false)
                .config("spark.driver.host", "127.0.0.1")
                .config("spark.driver.bindAddress", "127.0.0.1")
                .config("spark.sql.session.timeZone", "UTC")
                .config("spark.sql.datetime.java8API.enabled", true)
                // Pieces of 4 KiB: whoever reads one takes the row groups whose middle lies in it, as many machines do with a large file.
                .config("spark.sql.files.maxPartitionBytes", 4096)
                .config("spark.sql.files.openCostInBytes", 0)
                .getOrCreate();
        for (String path : paths) {
            read(spark.read().parquet(path));
        }
        spark.stop();
    }

    private static void read(Dataset<Row> file) throws Exception {
        StructField[] fields = file.schema().fields();
        // Pieces come in any order.
        List<Row> rows = new ArrayList<>(file.select(col("*"), col("_metadata.row_index")).collectAsList());
        rows.sort(Comparator.comparingLong(row -> row.getLong(fields.length)));
        Map<String, String> columns = new LinkedHashMap<>();
        Map<String, long[]> found = new LinkedHashMap<>();
        Map<String, Long> missing = new LinkedHashMap<>();
        Set<String> kinds = new HashSet<>();
        Set<String> kindsMissing = new HashSet<>();
        for (int i = 0; i < fields.length; i++) {
            String type = fields[i].dataType().simpleString();
            columns.put(fields[i].name(), type);
            int place = i;
            if (rows.stream().anyMatch(row -> row.isNullAt(place)) && kindsMissing.add(type)) {
                missing.put(fields[i].name(), count(file, named(fields[i].name()).isNull()));
            }
            if (ORDERED.contains(type) && kinds.add(type)) {
                found.put(fields[i].name(), ends(file, fields[i].name(), values(rows, i)));
            }
        }
        Map<String, Object> told = Map.of("columns", columns, "pieces", file.rdd().getNumPartitions(), "found", found, "missing", missing);
        System.out.println(JSON.writeValueAsString(told));
        for (Row row : rows) {
            List<Object> cells = new ArrayList<>();
            for (int i = 0; i < fields.length; i++) {
                Object value = row.get(i);
                cells.add(value instanceof scala.collection.Seq ? row.getList(i) : value instanceof java.time.temporal.Temporal ? value.toString() : value);
            }
            System.out.println(JSON.writeValueAsString(cells));
        }
    }

    /** One stage of work, where Spark's own count takes two. */
    private static long count(Dataset<Row> file, Column wanted) {
        return file.filter(wanted).select(lit(1)).collectAsList().size();
    }

    private static Column named(String name) {
        return col("`" + name.replace("`", "``") + "`");
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    private static List<Comparable> values(List<Row> rows, int place) {
        return (List) rows.stream().map(row -> row.get(place)).filter(Objects::nonNull).toList();
    }

    /** How many rows Spark finds by the least and the greatest of all values: it leaves out row groups that, by their statistics, have none. */
    @SuppressWarnings({"unchecked", "rawtypes"})
    private static long[] ends(Dataset<Row> file, String name, List<Comparable> values) {
        if (values.isEmpty()) {
            return new long[] {0, 0};
        }
        Column column = named(name);
        Comparator<Comparable> order = Comparator.naturalOrder();
        long least = count(file, column.equalTo(values.stream().min(order).get()));
        return new long[] {least, count(file, column.equalTo(values.stream().max(order).get()))};
    }
}
